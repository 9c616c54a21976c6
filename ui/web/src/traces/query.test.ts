import { expect, test } from 'vitest'
import { formatDuration, queryDuration, readDuration } from './duration'
import { EMPTY_FORM, formOf, withForm } from './query'

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

test('an unreadable duration reaches the server, which says what is wrong', () => {
  expect(withForm('', { min: 'soon ish' })).toBe('duration:>=soonish')
})

test('durations: three digits for people, exact for queries', () => {
  expect([0, 1, 999, 1000, 1_250_000, 999_999, 12_400_000_000, 200e9, 3600e9, 7500e9].map(formatDuration)).toEqual([
    '0 ms', '1 ns', '999 ns', '1 µs', '1.25 ms', '1 ms', '12.4 s', '3 min 20 s', '1 h', '2 h 5 min',
  ])
  expect(['500ms', '1.5 s', '2m', '7', '10us', '10µs', '3 ns', '1h', 'x', '', '1d', '-5ms'].map(readDuration)).toEqual([
    500e6, 1.5e9, 120e9, 7e6, 10e3, 10e3, 3, 3600e9, undefined, undefined, undefined, undefined,
  ])
  for (const ns of [1, 999, 1500, 1_500_000, 2_000_000, 61e9, 120e9, 7200e9]) expect(readDuration(queryDuration(ns))).toBe(ns)
})
