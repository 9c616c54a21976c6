import { expect, test } from 'vitest'
import { shownOf } from './cut'

const LIMITS = { few: 10, most: 200 }

test('a few at once, the rest when asked, and what is never shown is counted', () => {
  expect(shownOf(3, 0, LIMITS, false)).toEqual({ shown: 3, rest: 0, lost: 0 })
  expect(shownOf(150, 0, LIMITS, false)).toEqual({ shown: 10, rest: 140, lost: 0 })
  expect(shownOf(150, 0, LIMITS, true)).toEqual({ shown: 150, rest: 0, lost: 0 })
  expect(shownOf(1_500, 0, LIMITS, false)).toEqual({ shown: 10, rest: 190, lost: 0 })
  expect(shownOf(1_500, 0, LIMITS, true)).toEqual({ shown: 200, rest: 0, lost: 1_300 })
})

test('what the answer left out is not passed over, even where nothing else is there', () => {
  expect(shownOf(3, 40, LIMITS, false)).toEqual({ shown: 3, rest: 0, lost: 40 })
  expect(shownOf(0, 2, LIMITS, false)).toEqual({ shown: 0, rest: 0, lost: 2 })
  expect(shownOf(300, 7, LIMITS, true)).toEqual({ shown: 200, rest: 0, lost: 107 })
})
