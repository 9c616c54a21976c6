/** The part of a trace's time that is looked at, in ns after its start, and the ticks on it. */

export interface View {
  from: number
  to: number
}

/** Closer than this nothing is left to see. */
const CLOSEST_NS = 100

/** A view of at least `CLOSEST_NS`, inside the trace. */
export function clamp(view: View, duration: number): View {
  const whole = Math.max(duration, 1)
  const width = Math.min(whole, Math.max(Math.min(CLOSEST_NS, whole), view.to - view.from))
  const from = Math.min(Math.max(0, view.from), whole - width)
  return { from, to: from + width }
}

/** `factor` < 1 comes closer, around a point that stays where it is. */
export function zoom(view: View, factor: number, around: number, duration: number): View {
  return clamp({ from: around - (around - view.from) * factor, to: around + (view.to - around) * factor }, duration)
}

export function pan(view: View, by: number, duration: number): View {
  const width = view.to - view.from
  const from = Math.min(Math.max(0, view.from + by), Math.max(0, duration - width))
  return { from, to: from + width }
}

/** About `wanted` ticks at round numbers, inside the view. */
export function ticks(view: View, wanted: number): number[] {
  const width = view.to - view.from
  if (!(width > 0) || wanted < 1) return []
  const rough = width / wanted
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((times) => times * power >= rough) ?? 10)
  const found: number[] = []
  for (let index = Math.ceil(view.from / step); index * step <= view.to; index++) found.push(index * step)
  return found
}

/** `1200-3400` in the address; undefined where it is none. */
export function readView(text: string | undefined): View | undefined {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text ?? '')
  const view = match && { from: Number(match[1]), to: Number(match[2]) }
  return view && view.from < view.to ? view : undefined
}

export const viewText = (view: View, duration: number): string | undefined =>
  view.from <= 0 && view.to >= duration ? undefined : `${Math.round(view.from)}-${Math.round(view.to)}`
