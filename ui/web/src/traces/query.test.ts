import { expect, test } from 'vitest'
import { formatDuration, formatTick, queryDuration, readDuration } from './duration'
import { EMPTY_FORM, formOf, queryFor, withForm } from './query'

test('a form is read out of the text and writes back the same text', () => {
  const q = 'service:cart operation:"GET /cart" duration:>=500ms duration:<=2s status:error http.status_code:500'
  expect(formOf(q)).toEqual({ service: 'cart', operation: 'GET /cart', min: '500ms', max: '2s', errors: true })
  expect(formOf('service:cart OR service:shop')).toEqual(EMPTY_FORM)
  expect(formOf('-service:cart service:ca* operation:/GET.*/ duration:[1ms TO 5ms] status:ok')).toEqual(EMPTY_FORM)
  expect(formOf('name:checkout').operation).toBe('checkout')
})

test('each field replaces its own clause and no other', () => {
  expect(withForm('', { service: 'cart' })).toBe('service:cart')
  expect(withForm('service:cart x', { service: 'my shop' })).toBe('x service:"my shop"')
  expect(withForm('service:cart x status:error', { service: '', errors: false })).toBe('x')
  expect(withForm('*', { min: '1.5s' })).toBe('duration:>=1500ms')
  expect(withForm('duration:>=5ms duration:<=9s', { min: '20' })).toBe('duration:<=9s duration:>=20ms')
  expect(withForm('a OR b', { errors: true, max: '1m' })).toBe('(a OR b) status:error duration:<=1m')
  expect(withForm('name:old', { operation: 'GET /' })).toBe('operation:"GET /"')
})

test('what is typed goes through the text and comes back', () => {
  const form = { service: 'a "b"', operation: 'GET /x?y=*', min: '250us', max: '3h', errors: true }
  const { operation, ...rest } = formOf(withForm('free text', form))
  expect(rest).toEqual({ service: 'a "b"', min: '250us', max: '3h', errors: true })
  expect(operation).toBe('GET /x?y=*')
})

test('an attribute with the name of a span’s own field is asked for by its long name', () => {
  expect(queryFor('http.route', '/cart')).toBe('http.route:"/cart"')
  expect(queryFor('status', 'done')).toBe('attributes.status:done')
  expect(queryFor('links.count', '2')).toBe('attributes.links.count:2')
  expect(queryFor('resource.host.name', 'web-1')).toBe('resource.host.name:web-1')
})

test('an unreadable duration reaches the server, which says what is wrong', () => {
  expect(withForm('', { min: 'soon ish' })).toBe('duration:>=soonish')
})

test('durations: three digits for people, exact for queries', () => {
  expect([0, 1, 999, 1000, 1_250_000, 999_999, 12_400_000_000, 200e9, 3600e9, 7500e9].map(formatDuration)).toEqual([
    '0 ms', '1 ns', '999 ns', '1 µs', '1.25 ms', '1 ms', '12.4 s', '3 min 20 s', '1 h', '2 h 5 min',
  ])
  expect(['500ms', '1.5 s', '2m', '7', '10us', '10µs', '3 ns', '1h', '1h30m', '2d', 'x', '', '1y', '-5ms'].map(readDuration)).toEqual([
    500e6, 1.5e9, 120e9, 7e6, 10e3, 10e3, 3, 3600e9, 5400e9, 172_800e9, undefined, undefined, undefined, undefined,
  ])
  for (const ns of [1, 999, 1500, 1_500_000, 2_000_000, 61e9, 120e9, 7200e9]) expect(readDuration(queryDuration(ns))).toBe(ns)
})

test('ticks of an axis differ from their neighbours, however close it is looked at', () => {
  expect([0, 200e6, 400e6].map((at) => formatTick(at, 200e6))).toEqual(['0', '200 ms', '400 ms'])
  expect([308_400_000, 308_450_000].map((at) => formatTick(at, 50_000))).toEqual(['308.40 ms', '308.45 ms'])
  expect([1e9, 1.5e9].map((at) => formatTick(at, 0.5e9))).toEqual(['1.0 s', '1.5 s'])
  expect(formatTick(600e9, 60e9)).toBe('10 min')
  expect([2_000_000_100, 2_000_000_200].map((at) => formatTick(at, 100))).toEqual(['2.0000001 s', '2.0000002 s'])
})
