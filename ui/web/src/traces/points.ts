/** Points of a chart: the axis around them, and the one under the pointer. */

export interface Point {
  x: number
  y: number
}

/** Whole powers of ten around all values, at least one between. */
export function decades(values: number[]): [number, number] {
  const low = Math.floor(Math.log10(values.reduce((least, value) => Math.min(least, value), Infinity)))
  const high = Math.ceil(Math.log10(values.reduce((most, value) => Math.max(most, value), 1)))
  return Number.isFinite(low) ? [10 ** low, 10 ** Math.max(high, low + 1)] : [1, 10]
}

/** Index of the nearest point that is within reach; -1 when none is. */
export function nearest(points: Point[], x: number, y: number, reach: number): number {
  let found = -1
  let least = reach * reach
  for (const [index, point] of points.entries()) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2
    if (distance <= least) {
      least = distance
      found = index
    }
  }
  return found
}
