import { expect, test } from 'vitest'
import { errorShares, linePath, lonely, percent, ratesOf } from './chart'

const SERIES = { t: [0, 1, 2], requests: [30, 0, 60], errors: [3, 0, 60], p50: [1, null, 2], p95: [1, null, 2], p99: [1, null, 2] }

test('rates and shares; no requests have no share', () => {
  expect(ratesOf(SERIES, 15e9)).toEqual([2, 0, 4])
  expect(errorShares(SERIES)).toEqual([10, null, 100])
})

test('percent says few and nearly all as what they are', () => {
  expect([[0, 5], [0, 0], [1, 100_000], [1, 1000], [1, 3], [1, 8], [9999, 10_000], [5, 5]].map(([part, whole]) => percent(part!, whole!))).toEqual([
    '0 %', '0 %', '< 0.01 %', '0.1 %', '33.3 %', '12.5 %', '> 99.9 %', '100 %',
  ])
})

test('a line keeps its gaps, and a lone value is a point', () => {
  expect(lonely([null, 5, null, 1, 2, null, 0])).toEqual([1, 6])
  expect([lonely([]), lonely([7]), lonely([1, 2]), lonely([null, null])]).toEqual([[], [0], [], []])
  expect(linePath([0, 5, 10], 20, 10)).toBe('M0 10L10 5L20 0')
  expect(linePath([10, null, 5, 5], 30, 10)).toBe('M0 0h0.01M20 5L30 5')
  expect(linePath([0, 0], 10, 10)).toBe('M0 10L10 10')
  expect(linePath([], 10, 10)).toBe('')
})
