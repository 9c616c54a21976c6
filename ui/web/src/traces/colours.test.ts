import { expect, test } from 'vitest'
import { COLOURS, coloursOf } from './colours'

test('as many services as there are colours all differ, whatever their order', () => {
  const names = Array.from({ length: COLOURS }, (_, at) => `service-${at}`)
  const colours = coloursOf(names)
  expect(new Set(colours.values()).size).toBe(COLOURS)
  expect(coloursOf([...names].reverse())).toEqual(colours)
  expect([...coloursOf([...names, 'one', 'two']).values()].every((colour) => colour >= 0 && colour < COLOURS)).toBe(true)
})
