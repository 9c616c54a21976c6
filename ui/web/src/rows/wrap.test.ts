import { expect, test } from 'vitest'
import { wrappedLines } from './wrap'

test('height follows from characters, line feeds, tabs and wide characters', () => {
  const cases: [string, number, number][] = [
    ['', 80, 1],
    ['a'.repeat(80), 80, 1],
    ['a'.repeat(81), 80, 2],
    ['one\ntwo\n\nfour', 80, 4],
    ['a\tb', 5, 1],
    ['a\tb', 4, 2],
    ['中'.repeat(40), 80, 1],
    ['中'.repeat(41), 80, 2],
    ['anything', 0, 8],
  ]
  for (const [text, columns, lines] of cases) expect(wrappedLines(text, columns), JSON.stringify(text)).toBe(lines)
})
