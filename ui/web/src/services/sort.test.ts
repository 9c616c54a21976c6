import { expect, test } from 'vitest'
import type { ServiceRow } from '../api/tracing'
import { clicked, orderOf, sorted } from './sort'

const row = (service: string, requests: number, errors: number, p99: number | null): ServiceRow => ({ service, requests, errors, p50: p99, p95: p99, p99, series: { t: [], requests: [], errors: [], p50: [], p95: [], p99: [] } })
const ROWS = [row('b', 10, 5, 7), row('a', 30, 3, null), row('c', 10, 0, 9)]
const names = (order: string | undefined) => sorted(ROWS, orderOf(order), (each) => each.service).map((each) => each.service).join('')

test('the most asked first; errors by their share; what has no number last', () => {
  expect(names(undefined)).toBe('abc')
  expect(names('errors')).toBe('bac')
  expect(names('p99')).toBe('cba')
  expect(names('-p99')).toBe('bca')
  expect(names('name')).toBe('abc')
  expect(names('-name')).toBe('cba')
  expect(names('nonsense')).toBe('abc')
})

test('a second click turns around, the default is not written', () => {
  expect(clicked(undefined, 'p99')).toBe('p99')
  expect(clicked('p99', 'p99')).toBe('-p99')
  expect(clicked('-p99', 'p99')).toBe('p99')
  expect(clicked(undefined, 'requests')).toBe('-requests')
  expect(clicked('-requests', 'requests')).toBeUndefined()
})
