/** Answers of the API, as far as the page reads them. */

export interface Hit {
  id: string
  timestamp: string
  body: string
  raw: string
  /** Bytes of the whole line, when `raw` is cut. */
  raw_length?: number
  level?: string | null
  service?: string | null
  host?: string | null
  source?: string | null
  attributes?: Record<string, unknown> | null
  attributes_cut?: boolean
  trace_id?: string | null
  span_id?: string | null
  offset?: number
  truncated_from?: number
  parse_failed?: boolean
  continues?: boolean
  /** Set on spans only, from here on. */
  operation?: string | null
  kind?: string | null
  status?: string | null
  status_message?: string | null
  duration_ns?: number | string | null
  parent_id?: string | null
  events?: SpanEvent[] | null
  links?: SpanLink[] | null
  /** How many of them a list leaves out for their size. */
  events_cut?: number
  links_cut?: number
}

export interface SpanEvent {
  name: string
  /** RFC 3339. */
  timestamp?: string
  attributes?: Record<string, unknown> | null
}

export interface SpanLink {
  trace_id: string
  span_id: string
  attributes?: Record<string, unknown> | null
}

export interface HistogramData {
  interval_ns: number | string
  start_ns: number | string
  buckets: Record<string, number>[]
}

export interface SearchAnswer {
  total: number | null
  complete: boolean
  hits: Hit[]
  took_ms: number
  next: string | null
  histogram?: HistogramData | null
  /** What a query with pipes gives instead of hits. */
  table?: Table | null
}

export interface Table {
  columns: string[]
  /** How to show a column; nothing where it is plain. */
  units?: ('ns' | 'time' | null)[]
  rows: unknown[][]
  /** False when groups were left out. */
  complete?: boolean
  /** For people: what was left out or estimated. */
  notes?: string[]
}

export interface Alert {
  id: string
  rule: string
  state: string
  labels: Record<string, string>
  annotations: Record<string, string>
  starts_at: string
  ends_at: string | null
  last_line_at: string
  lines: number
  samples: unknown
}

export interface Rule {
  name: string
  description: string
  index: string
  query: string | null
  regex: string | null
  /** With a quantile, the least number of values. */
  count: number
  within: string
  /** Absent: the threshold is on the count. */
  quantile?: QuantileThreshold
  group_by: string[]
  labels: Record<string, string>
  receivers: string[] | null
  file: string
  line: number
  summary: string
  state: string
  pending: number
  firing: number
}

export interface QuantileThreshold {
  quantile: string
  field: string
  above: string
}

export interface Notification {
  id: string
  receiver: string
  state: string
  attempts: number
  last_error: string | null
}

export interface HistoryEntry {
  at: string
  alert: string
  rule: string
  change: string
  starts_at: string
  labels: Record<string, string>
  lines: number
  samples?: unknown
  notifications: Notification[]
}

export interface Receiver {
  name: string
  url: string
  disabled: string | null
  pending: number
  delivered: number
  dead: number
}

export interface AgentFile {
  path: string
  size: number
  acked: number
  backlog: number
  open: boolean
}

export interface Agent {
  id: string
  host: string
  version: string
  started: string | number
  last_seen: string
  files: AgentFile[]
  files_total: number
  backlog_bytes: number
  lines_total: number
  bytes_total: number
  errors: string[]
}

export interface Partition {
  topic: string
  partition: number
  log_start: number | null
  end: number | null
  next: number
  published: number
  lag: number | null
}

export interface Indexer {
  complete?: boolean
  hot_docs: number
  hot_bytes: number
  splits: number
  split_bytes?: number
  docs: number
  indexed?: number
  last_publish: string | null
  merges: number
  parse_failed: number
  poisoned?: number
  duplicates_dropped: number
  gaps: number
}

/** A consumer group on one topic. */
export interface Group {
  group: string
  topic: string
  lag_records: number
  lag_bytes: number
  lag_seconds: number
  lost_records: number
  is_losing: boolean
}

export interface Pipeline {
  agents: Agent[]
  partitions: Partition[]
  /** Only where the queue runs in the server's process. */
  groups?: Group[]
  indexer: Indexer
}
