import { expect, test } from 'vitest'
import { barsOf, snap, stack } from './bars'

const bars = barsOf({ start_ns: 1000, interval_ns: 10, buckets: [{ info: 2, error: 1 }, {}, { none: 4, error: 1 }] })

test('levels stack with the gravest at the bottom, absent ones left out', () => {
  expect(bars.levels.map(({ level, total }) => [level, total])).toEqual([['error', 2], ['info', 2], ['none', 4]])
  expect(stack(bars)).toEqual([[1, 0, 1], [3, 0, 1], [3, 0, 5]])
  expect(bars.totals).toEqual([3, 0, 5])
})

test('a drag covers whole buckets, in either direction, also on the last bar and outside', () => {
  expect(snap(bars, 1012n, 1018n)).toEqual({ from: 1010n, to: 1020n })
  expect(snap(bars, 1025n, 1003n)).toEqual({ from: 1000n, to: 1030n })
  expect(snap(bars, 1029n, 1029n)).toEqual({ from: 1020n, to: 1030n })
  expect(snap(bars, 5n, 9999n)).toEqual({ from: 1000n, to: 1030n })
})
