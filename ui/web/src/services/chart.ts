/** Numbers of services over time, as the charts draw them. */
import type { Series } from '../api/tracing'

/** Requests a second; the step is the time that one value covers. */
export const ratesOf = (series: Series, stepNs: number): number[] => series.requests.map((count) => count / (stepNs / 1e9))

/** Share of failed requests in percent; null where nothing was asked, which is not 0 %. */
export const errorShares = (series: Series): (number | null)[] => series.requests.map((count, at) => (count === 0 ? null : (100 * series.errors[at]!) / count))

export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %'
  const share = (100 * part) / whole
  // Few errors are not none, and nearly all are not all.
  if (share < 0.01) return '< 0.01 %'
  return `${share >= 99.95 && part < whole ? '> 99.9' : share >= 10 ? Number(share.toFixed(1)) : Number(share.toFixed(2))} %`
}

/** Values between two gaps: a line alone would not show them. */
export const lonely = (values: ArrayLike<number | null | undefined>): number[] =>
  Array.from(values).flatMap((value, at) => (value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []))

/** SVG path of a line through the values, from the left to the right of a box; gaps stay gaps. */
export function linePath(values: (number | null)[], width: number, height: number, top?: number): string {
  const most = top ?? values.reduce<number>((largest, value) => Math.max(largest, value ?? 0), 0)
  const step = values.length > 1 ? width / (values.length - 1) : 0
  const points = new Set(lonely(values))
  let path = ''
  let drawing = false
  for (const [at, value] of values.entries()) {
    if (value === null) {
      drawing = false
      continue
    }
    const y = most > 0 ? height - (height * value) / most : height
    path += `${drawing ? 'L' : 'M'}${round(at * step)} ${round(y)}`
    if (points.has(at)) path += 'h0.01'
    drawing = true
  }
  return path
}

const round = (value: number): number => Math.round(value * 10) / 10
