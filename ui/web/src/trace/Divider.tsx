/** The line between names and times, to be moved by mouse or by arrow keys. Its place belongs to the device. */
import { useState, type KeyboardEvent, type PointerEvent } from 'react'
import { tt } from '../i18n/tracing'

const KEPT = 'logboom.names'
const LEAST = 15
const MOST = 75
const STEP = 2

/** Percent of the width that names take; undefined while nobody has chosen. */
export function useNames(): [number | undefined, (share: number | undefined) => void] {
  const [share, setShare] = useState(() => {
    try {
      const kept = Number(localStorage.getItem(KEPT))
      return kept >= LEAST && kept <= MOST ? kept : undefined
    } catch {
      return undefined
    }
  })
  const keep = (next: number | undefined) => {
    setShare(next)
    try {
      if (next === undefined) localStorage.removeItem(KEPT)
      else localStorage.setItem(KEPT, String(next))
    } catch {
      // The choice then holds until the page is closed.
    }
  }
  return [share, keep]
}

export function Divider({ share, onShare }: { share: number | undefined; onShare: (share: number | undefined) => void }) {
  const [dragging, setDragging] = useState(false)
  const set = (next: number) => onShare(Math.round(Math.min(MOST, Math.max(LEAST, next)) * 10) / 10)
  const here = (element: HTMLElement): number => share ?? (100 * element.offsetLeft) / Math.max(1, element.parentElement!.clientWidth)
  const move = (event: PointerEvent<HTMLElement>) => {
    if (!dragging) return
    const box = event.currentTarget.parentElement!.getBoundingClientRect()
    set((100 * (event.clientX - box.left)) / Math.max(1, box.width))
  }
  const key = (event: KeyboardEvent<HTMLElement>) => {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
    // Not for the tree, which folds by these keys.
    event.preventDefault()
    set(here(event.currentTarget) + (event.key === 'ArrowLeft' ? -STEP : STEP))
  }
  return (
    <div
      className={dragging ? 'divider dragging' : 'divider'}
      role="separator"
      aria-orientation="vertical"
      aria-label={tt.trace.divider}
      aria-valuemin={LEAST}
      aria-valuemax={MOST}
      aria-valuenow={Math.round(share ?? 36)}
      title={tt.trace.divider}
      tabIndex={0}
      onPointerDown={(event) => {
        if (event.button !== 0) return
        event.preventDefault()
        event.currentTarget.setPointerCapture(event.pointerId)
        setDragging(true)
      }}
      onPointerMove={move}
      onPointerUp={() => setDragging(false)}
      onPointerCancel={() => setDragging(false)}
      onDoubleClick={() => onShare(undefined)}
      onKeyDown={key}
    />
  )
}
