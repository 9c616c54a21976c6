import { expect, test } from 'vitest'
import { readQueryString, writeQueryString } from '../search/address'
import { readServicesAddress, readTraceAddress, readTracesAddress } from './address'

test('short parameters of a link become part of the query, once', () => {
  const address = readTracesAddress(readQueryString('?q=http.method:GET&service=my+shop&op=GET+/&min=500ms&max=2s&err=1&from=1h'))
  expect(address).toEqual({ q: 'http.method:GET service:"my shop" operation:"GET /" duration:>=500ms duration:<=2s status:error', from: '1h' })
  expect(readTracesAddress({ ...address })).toEqual(address)
  expect(readTracesAddress({ from: '15m', q: '', err: '0' })).toEqual({})
})

test('a link to a trace restores every field and drops nonsense', () => {
  const address = { span: '00f067aa0ba902b7', tab: 'logs', line: '0-3-1042-0', only: 'span', find: 'GET /', min: '5ms', path: 'critical', view: '12-3400', tz: 'utc' } as const
  expect(readTraceAddress(readQueryString(writeQueryString(address)))).toEqual(address)
  expect(readTraceAddress({ tab: 'x', path: '1', view: '9-1', tz: 'Mars/Base' })).toEqual({})
})

test('services: the default range and tab are not written', () => {
  expect(readServicesAddress({ from: '15m', to: 'now', tab: 'table', service: 'cart' })).toEqual({ service: 'cart' })
  expect(readServicesAddress({ tab: 'map', from: '1h', sort: 'errors' })).toEqual({ tab: 'map', from: '1h', sort: 'errors' })
})
