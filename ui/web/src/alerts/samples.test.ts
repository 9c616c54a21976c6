import { expect, test } from 'vitest'
import { readSamples, worst } from './samples'

const TRACE = '419c6d2875d456a4b67b6c9d0ffd7d6a'
const span = (ns: number, more: object = {}) => ({ timestamp: '2026-11-25T09:20:58.124841839Z', line: 'POST /charge\npayment declined\nexception', service: 'payment', operation: 'POST /charge', duration_ns: ns, status: 'unset', span_id: '9d936f18b112edfa', trace_id: TRACE, trace_url: `https://logs.example/traces/${TRACE}`, ...more })

test('spans are quoted with what tells them apart, and lead to their trace', () => {
  const [slow, failed] = readSamples([span(2_651_808_623), span(59_153_537, { status: 'error' })])
  expect(slow).toEqual({
    text: 'POST /charge\npayment declined\nexception',
    time: '2026-11-25T09:20:58.124841839Z',
    trace: { id: TRACE, span: '9d936f18b112edfa' },
    span: { service: 'payment', operation: 'POST /charge', durationNs: 2_651_808_623, failed: false, message: '' },
  })
  expect(failed!.span).toMatchObject({ failed: true, message: 'payment declined' })
})

test('lines are quoted as they are, with a trace where they have one', () => {
  const found = readSamples(['as once', { raw: 'older' }, { line: 'a\nb', trace_id: TRACE }, { line: 'plain', trace_id: null }, null, 7, { other: 1 }])
  expect(found.map(({ text, trace, span }) => [text, trace?.id, span])).toEqual([['as once', undefined, undefined], ['older', undefined, undefined], ['a\nb', TRACE, undefined], ['plain', undefined, undefined]])
  expect(readSamples(undefined)).toEqual([])
})

test('the longest span comes first to mind, of lines the latest', () => {
  const ids = (...samples: object[]) => worst(readSamples(samples))?.trace?.id
  expect(ids(span(5, { trace_id: 'a' }), span(9, { trace_id: 'b' }), span(7, { trace_id: 'c' }), span(99, { trace_id: null }))).toBe('b')
  expect(ids({ line: 'x', trace_id: 'a' }, { line: 'y', trace_id: 'b' }, { line: 'z' })).toBe('b')
  expect(ids({ line: 'z' })).toBeUndefined()
})
