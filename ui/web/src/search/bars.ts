/** The histogram's numbers: from the answer's buckets to stacked columns. */
import type { HistogramData } from '../api/types'
import { LEVELS, type Level } from '../rows/level'
import type { Nanos } from '../time/instant'

export interface Bars {
  start: Nanos
  interval: Nanos
  /** Levels that occur, the gravest first. */
  levels: { level: Level; counts: number[]; total: number }[]
  totals: number[]
}

export function barsOf(data: HistogramData): Bars {
  const count = data.buckets.length
  const levels = LEVELS.map((level) => {
    const counts = data.buckets.map((bucket) => bucket[level] ?? 0)
    return { level, counts, total: counts.reduce((sum, value) => sum + value, 0) }
  }).filter((series) => series.total > 0)
  const totals = Array.from({ length: count }, (_, at) => levels.reduce((sum, series) => sum + series.counts[at]!, 0))
  return { start: BigInt(data.start_ns), interval: BigInt(data.interval_ns), levels, totals }
}

/** Sums from the bottom up, the gravest at the bottom: row n is the top edge of the nth level. */
export function stack(bars: Bars): number[][] {
  const sums: number[][] = []
  let below = bars.totals.map(() => 0)
  for (const { counts } of bars.levels) {
    below = below.map((value, at) => value + counts[at]!)
    sums.push(below)
  }
  return sums
}

/** A dragged range, in either direction, widened to whole buckets and kept inside the chart. */
export function snap(bars: Bars, from: Nanos, to: Nanos): { from: Nanos; to: Nanos } {
  const [low, high] = from <= to ? [from, to] : [to, from]
  const count = BigInt(bars.totals.length)
  const clamp = (index: bigint) => (index < 0n ? 0n : index > count - 1n ? count - 1n : index)
  const first = clamp((low - bars.start) / bars.interval)
  const last = clamp((high - bars.start) / bars.interval)
  return { from: bars.start + first * bars.interval, to: bars.start + (last + 1n) * bars.interval }
}
