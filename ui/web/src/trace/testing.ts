/** Traces for tests: written out, or any shape from a seed. */
import type { TraceAnswer } from '../api/tracing'

export interface Given {
  name: string
  parent: number
  start: number
  duration: number
  service?: string
  status?: number
  orphan?: boolean
}

export function answerOf(given: Given[]): TraceAnswer {
  const services = [...new Set(given.map((span) => span.service ?? 'shop'))]
  const operations = [...new Set(given.map((span) => span.name))]
  return {
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    complete: true,
    start: '2026-11-25T01:00:00Z',
    start_ns: '1764032400000000000',
    duration_ns: Math.max(...given.map((span) => span.start + span.duration)),
    total: given.length,
    services,
    operations,
    orphan: given.flatMap((span, row) => (span.orphan ? [row] : [])),
    spans: {
      id: given.map((_, row) => row.toString(16).padStart(16, '0')),
      parent: given.map((span) => span.parent),
      service: given.map((span) => services.indexOf(span.service ?? 'shop')),
      operation: given.map((span) => operations.indexOf(span.name)),
      start: given.map((span) => span.start),
      duration: given.map((span) => span.duration),
      kind: given.map(() => 1),
      status: given.map((span) => span.status ?? 0),
    },
  }
}

/** Any parents (circles too), starts sorted as the API sorts them, some without duration. */
export function randomAnswer(seed: number, count: number): TraceAnswer {
  let state = seed * 2_654_435_761
  const random = (below: number) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 1) >>> 0
    return state % below
  }
  const starts = Array.from({ length: count }, () => random(1000)).sort((a, b) => a - b)
  return answerOf(
    starts.map((start, row) => ({
      name: `op ${random(5)}`,
      parent: row === 0 ? -1 : random(8) === 0 ? random(count) : random(row),
      start,
      duration: random(4) === 0 ? 0 : random(600),
      status: random(9) === 0 ? 2 : 0,
    })),
  )
}
