/** Rates out of counters that are read now and then. */
import { useEffect, useRef, useState } from 'react'

/** What a counter gained a second between two readings; a counter that fell was started anew. */
export function rate(before: { value: number; at: number } | undefined, now: { value: number; at: number }): number | undefined {
  if (!before || now.at <= before.at || now.value < before.value) return undefined
  return ((now.value - before.value) * 1000) / (now.at - before.at)
}

/** The rate of a counter read at `at` (ms). */
export function useRate(value: number | undefined, at: number): number | undefined {
  const last = useRef<{ value: number; at: number }>(undefined)
  const [current, setCurrent] = useState<number>()
  useEffect(() => {
    if (value === undefined || last.current?.at === at) return
    const next = { value, at }
    setCurrent(rate(last.current, next))
    last.current = next
  }, [value, at])
  return current
}
