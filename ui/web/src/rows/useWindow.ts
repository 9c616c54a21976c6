/**
 * Which rows of equal height are on screen.
 *
 * Arithmetic instead of a list of measurements: a list of 50,000 items that is built again with every
 * collapse is what makes waterfalls stutter.
 */
import { useCallback, useLayoutEffect, useState, type RefObject } from 'react'

export interface RowWindow {
  first: number
  /** Exclusive. */
  last: number
  /** Scrolls as little as is needed to show a row; one that is far away is put in the middle. */
  show: (index: number) => void
}

/** The rows from `first` to `last` that are seen through `height` pixels at `top`, and some around them. */
export function rowsAt(top: number, height: number, rowHeight: number, count: number, around: number): { first: number; last: number } {
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight) - around, count))
  return { first, last: Math.max(first, Math.min(count, Math.ceil((top + height) / rowHeight) + around)) }
}

export function useWindow(scroller: RefObject<HTMLElement | null>, count: number, rowHeight: number, around = 6): RowWindow {
  const [seen, setSeen] = useState({ top: 0, height: 900 })
  useLayoutEffect(() => {
    const element = scroller.current
    if (!element) return
    const look = () => {
      // A whole row's step is what changes the picture; less is left to the browser.
      const top = Math.floor(element.scrollTop / rowHeight) * rowHeight
      setSeen((before) => (before.top === top && before.height === element.clientHeight ? before : { top, height: element.clientHeight }))
    }
    look()
    const observer = new ResizeObserver(look)
    observer.observe(element)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', look)
    }
  }, [scroller, rowHeight])
  const show = useCallback(
    (index: number) => {
      const element = scroller.current
      if (!element) return
      const top = index * rowHeight
      // A row above or below stays in sight, so that one sees where one goes.
      const margin = Math.min(rowHeight, Math.max(0, element.clientHeight / 2 - rowHeight))
      const far = top < element.scrollTop - 2 * rowHeight || top > element.scrollTop + element.clientHeight + rowHeight
      if (far) element.scrollTop = top - (element.clientHeight - rowHeight) / 2
      else if (top < element.scrollTop + margin) element.scrollTop = top - margin
      else if (top + rowHeight > element.scrollTop + element.clientHeight - margin) element.scrollTop = top + rowHeight - element.clientHeight + margin
    },
    [scroller, rowHeight],
  )
  return { ...rowsAt(seen.top, seen.height, rowHeight, count, around), show }
}
