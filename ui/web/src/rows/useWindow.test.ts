import { expect, test } from 'vitest'
import { rowsAt } from './useWindow'

test('the rows on screen and a few around them, inside the list', () => {
  expect(rowsAt(0, 100, 20, 1000, 2)).toEqual({ first: 0, last: 7 })
  expect(rowsAt(410, 100, 20, 1000, 2)).toEqual({ first: 18, last: 28 })
  expect(rowsAt(19_900, 100, 20, 1000, 2)).toEqual({ first: 993, last: 1000 })
  expect(rowsAt(0, 100, 20, 3, 2)).toEqual({ first: 0, last: 3 })
  // After a collapse the scroller can stand below the end for a moment.
  expect(rowsAt(50_000, 100, 20, 3, 2)).toEqual({ first: 3, last: 3 })
  expect(rowsAt(0, 100, 20, 0, 2)).toEqual({ first: 0, last: 0 })
})
