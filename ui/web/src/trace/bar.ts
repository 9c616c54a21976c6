/** Where a span's bar and its text stand in the part of the time that is looked at, in percent. */
import type { View } from './axis'

export interface Bar {
  left: number
  width: number
  /** Is any of it inside the view? */
  seen: boolean
  /** On which side of the bar its duration is written; `left` and `right` of the view where the bar is not in it. */
  label: 'after' | 'before' | 'inside' | 'left' | 'right'
}

/** Room that a duration's text needs, in percent of a usual width. */
const TEXT = 12

export function barOf(start: number, length: number, view: View): Bar {
  const scale = 100 / (view.to - view.from)
  const from = (start - view.from) * scale
  const to = (start + length - view.from) * scale
  // Cut a little outside: a bar zoomed in a million times would be wider than browsers can draw.
  const left = Math.max(-1, Math.min(101, from))
  const right = Math.max(-1, Math.min(101, to))
  const seen = to >= 0 && from <= 100
  const label = to < 0 ? 'left' : from > 100 ? 'right' : right <= 100 - TEXT ? 'after' : left >= TEXT ? 'before' : 'inside'
  return { left, width: right - left, seen, label }
}

/** Stretches closer than this are drawn as one; a bar is some hundred pixels wide at most. */
const STEPS = 400

/** A background of a bar that marks some stretches of its span: one element, however many they are. */
export function gradientOf(stretches: { from: number; to: number }[], start: number, length: number, view: View): string {
  const low = Math.max(start, view.from - (view.to - view.from) * 0.01)
  const high = Math.min(start + length, view.to + (view.to - view.from) * 0.01)
  const width = high - low
  if (!(width > 0)) return 'none'
  const stops: string[] = []
  let reached = -1
  for (const { from, to } of stretches) {
    if (to < low || from > high) continue
    const left = Math.max(0, Math.floor(((from - low) / width) * STEPS))
    const right = Math.min(STEPS, Math.max(left + 1, Math.ceil(((to - low) / width) * STEPS)))
    if (right <= reached) continue
    const begin = Math.max(left, reached)
    if (reached === begin) stops.pop()
    else stops.push(`transparent ${(begin * 100) / STEPS}%`, `var(--path-colour) ${(begin * 100) / STEPS}%`)
    stops.push(`var(--path-colour) ${(right * 100) / STEPS}%`)
    stops.push(`transparent ${(right * 100) / STEPS}%`)
    reached = right
    if (reached >= STEPS) break
  }
  return stops.length === 0 ? 'none' : `linear-gradient(90deg, ${stops.join(', ')})`
}
