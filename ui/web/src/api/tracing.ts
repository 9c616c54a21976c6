/** Traces and services of the API. Loaded with their pages, not with the first paint. */
import { get } from './client'
import type { Hit } from './types'

export interface TraceSummary {
  trace_id: string
  /** Null while the root has not arrived. */
  root: { service: string; operation: string; span_id: string } | null
  start: string
  duration_ns: number
  spans: number
  errors: number
  services: { name: string; spans: number; errors: number }[]
}

export interface TracesAnswer {
  complete: boolean
  took_ms: number
  traces: TraceSummary[]
}

/** Spans as columns, sorted by start; `parent` is a row or -1. */
export interface TraceAnswer {
  trace_id: string
  complete: boolean
  truncated?: boolean
  start: string
  start_ns: string
  duration_ns: number
  total: number
  services: string[]
  operations: string[]
  /** Rows whose parent has not arrived. */
  orphan?: number[]
  spans: {
    id: string[]
    parent: number[]
    service: number[]
    operation: number[]
    start: number[]
    duration: number[]
    kind: number[]
    status: number[]
  }
}

export interface Series {
  t: number[]
  requests: number[]
  errors: number[]
  p50: (number | null)[]
  p95: (number | null)[]
  p99: (number | null)[]
}

export interface ServiceRow {
  service: string
  operation?: string
  requests: number
  errors: number
  p50: number | null
  p95: number | null
  p99: number | null
  series: Series
}

export interface ServicesAnswer {
  complete: boolean
  step_ns: number
  from: string
  to: string
  rows: ServiceRow[]
  /** What is left out, in words. */
  notes?: string[]
}

export interface Edge {
  parent: string
  child: string
  calls: number
  errors: number
  p50: number | null
  p95: number | null
  p99: number | null
}

export interface DependenciesAnswer {
  complete: boolean
  edges: Edge[]
  services: string[]
  notes?: string[]
}

interface Range {
  from?: string | undefined
  to?: string | undefined
}

export const traces = (question: Range & { q: string; limit: number }, signal?: AbortSignal) => get<TracesAnswer>('traces', { ...question }, signal)
export const trace = (id: string, signal?: AbortSignal) => get<TraceAnswer>(`traces/${encodeURIComponent(id)}`, {}, signal)
export const span = (id: string, spanId: string, signal?: AbortSignal) => get<Hit>(`traces/${encodeURIComponent(id)}/spans/${encodeURIComponent(spanId)}`, {}, signal)
export const services = (question: Range & { service?: string | undefined; step?: string | undefined }, signal?: AbortSignal) => get<ServicesAnswer>('services', { ...question }, signal)
export const dependencies = (question: Range, signal?: AbortSignal) => get<DependenciesAnswer>('dependencies', { ...question }, signal)
