import { expect, test } from 'vitest'
import { parseExact } from './json'

test('large integers become text, everything else stays', () => {
  const text = '{"a":9007199254740993,"b":[1234567890123456789, -1234567890123456789],"c":9007199254740991,"d":"x: 1234567890123456789, \\"y\\":1234567890123456789,","e":1.5e300,"f":0.1234567890123456}'
  expect(parseExact(text)).toEqual({
    a: '9007199254740993',
    b: ['1234567890123456789', '-1234567890123456789'],
    c: 9007199254740991,
    d: 'x: 1234567890123456789, "y":1234567890123456789,',
    e: 1.5e300,
    f: 0.1234567890123456,
  })
  expect(parseExact('{"small":1}')).toEqual({ small: 1 })
  expect(parseExact('1234567890123456')).toBe(1234567890123456)
  expect(() => parseExact('{"a":12345678901234567890')).toThrow()
})

test('two megabytes take no visible time', () => {
  const row = JSON.stringify({ raw: 'x'.repeat(4000), id: '0-1-2-0' })
  const text = `{"hits":[${Array.from({ length: 500 }, () => row).join(',')}],"start_ns":1764032400000000001}`
  const started = performance.now()
  expect((parseExact(text) as { start_ns: string }).start_ns).toBe('1764032400000000001')
  expect(performance.now() - started).toBeLessThan(500)
})
