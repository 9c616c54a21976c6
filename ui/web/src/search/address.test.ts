import { expect, test } from 'vitest'
import { columnsOf, columnsText, rangeOf, readAddress, readQueryString, writeQueryString, zoneOf, type SearchAddress } from './address'

const through = (address: SearchAddress) => readAddress(readQueryString(writeQueryString({ ...address })))

test('a link restores every field', () => {
  const addresses: SearchAddress[] = [
    {},
    { q: 'level:error "a b" AND x+y&z=1 #é中' },
    { q: '42', from: '1764032400000000000', to: '2026-11-25T01:00:00.000000001Z' },
    { from: 'now-2h', to: 'now-1h', tz: 'Asia/Shanghai', order: 'oldest', cols: 'host,http.path', line: '0-3-1042-0' },
    { cols: '', q: 'true' },
  ]
  for (const address of addresses) expect(through(address)).toEqual(address)
})

test('defaults are not written and nonsense is dropped', () => {
  expect(readAddress({ from: '15m', to: 'now', tz: 'local', order: 'newest', q: '' })).toEqual({})
  expect(readAddress({ tz: 'Mars/Base', order: 'sideways', extra: 1 })).toEqual({})
  expect(rangeOf({})).toEqual({ from: '15m', to: 'now' })
  expect(zoneOf({})).toBe('local')
})

test('columns: absent is the default, empty is none, each once', () => {
  expect(columnsOf({})).toEqual(['service', 'host'])
  expect(columnsOf({ cols: '' })).toEqual([])
  expect(columnsOf({ cols: 'a, b,a,' })).toEqual(['a', 'b'])
  expect(columnsText(['service', 'host'], 'x')).toBeUndefined()
  expect(columnsText([], undefined)).toBe('')
  expect(columnsOf({ q: 'index:spans' })).toContain('duration')
  expect(columnsText(columnsOf({ q: 'index:spans' }), 'index:spans x')).toBeUndefined()
  expect(columnsText(['service', 'host'], 'index:spans')).toBe('service,host')
})
