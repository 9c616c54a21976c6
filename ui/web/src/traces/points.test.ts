import { expect, test } from 'vitest'
import { decades, nearest } from './points'

test('the axis covers all durations with whole decades', () => {
  expect(decades([3_000_000, 250_000_000])).toEqual([1e6, 1e9])
  expect(decades([1000])).toEqual([1000, 10_000])
  expect(decades([])).toEqual([1, 10])
})

test('the nearest point within reach', () => {
  const points = [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 4 }]
  expect(nearest(points, 9, 1, 12)).toBe(1)
  expect(nearest(points, 10, 3, 12)).toBe(2)
  expect(nearest(points, 40, 0, 12)).toBe(-1)
})
