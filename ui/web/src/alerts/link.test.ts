import { expect, test } from 'vitest'
import type { Rule } from '../api/types'
import { isOfSpans, queryOf, searchFor } from './link'

const rule = { name: 'r', query: null, regex: null, within: '1m', group_by: [] as string[] } as unknown as Rule

test('an alert leads to its condition, its group and its time', () => {
  const found = searchFor(
    { ...rule, query: '"authentication failure"', group_by: ['host'] },
    { labels: { host: 'web 1', severity: 'page' }, starts_at: '2026-11-25T01:00:00Z', until: '2026-11-25T01:02:00Z' },
  )
  expect(found).toEqual({ q: '"authentication failure" host:"web 1"', from: '2026-11-25T00:58:30Z', to: '2026-11-25T01:02:30Z' })
})

test('a group narrows the whole condition, not its last half', () => {
  const found = searchFor({ ...rule, query: 'a OR b', group_by: ['host'] }, { labels: { host: 'web-1' }, starts_at: '2026-11-25T01:00:00Z' })
  expect(found.q).toBe('(a OR b) host:web-1')
})

test('a regex is written so that a slash does not end it', () => {
  expect(queryOf({ ...rule, regex: String.raw`GET /api\/v1 \d+` })).toBe(String.raw`/GET \/api\/v1 \d+/`)
  expect(queryOf({ ...rule, query: 'a OR b', regex: 'x' })).toBe('(a OR b) /x/')
  expect(queryOf(rule)).toBe('*')
  expect(queryOf({ ...rule, query: 'a OR b' })).toBe('a OR b')
})

test('a rule of spans leads to traces, one of another index names it', () => {
  expect([isOfSpans({ ...rule, index: 'spans' }), isOfSpans({ ...rule, index: 'logs' }), isOfSpans(undefined)]).toEqual([true, false, false])
  expect(queryOf({ ...rule, index: 'spans', query: 'status:error' })).toBe('status:error')
  expect(queryOf({ ...rule, index: '_rejected', query: 'x' })).toBe('index:_rejected x')
})

test('an alert of a quantile leads to what is above its limit', () => {
  const slow = { ...rule, index: 'spans', query: 'kind:server OR kind:consumer', quantile: { quantile: 'p99', field: 'duration', above: '500ms' }, group_by: ['service'] }
  expect(queryOf(slow)).toBe('(kind:server OR kind:consumer) duration:>500ms')
  expect(searchFor(slow, { labels: { service: 'cart' }, starts_at: '2026-11-25T01:00:00Z' }).q).toBe('(kind:server OR kind:consumer) duration:>500ms service:cart')
})
