/**
 * A trace as a tree in arrays.
 *
 * Spans stand in preorder: the subtree of span `i` is `i … i + size[i] - 1`. Collapsing, filtering and
 * walking are then loops over numbers, with no object per span, which is what keeps 50,000 of them fluid.
 */
import type { TraceAnswer } from '../api/tracing'

export const ORPHAN = 1
/** Starts before its parent, which clocks of one host do not show. */
export const EARLY = 2
/** Its parents go round in a circle; it was cut out of it. */
export const LOOP = 4

export const STATUS_ERROR = 2

export interface Trace {
  id: string
  /** Start of the earliest span, ns since the epoch. */
  startNs: bigint
  /** From the earliest start to the latest end, ns. */
  duration: number
  /** Spans that the trace has; more than `count` when it was cut. */
  total: number
  truncated: boolean
  complete: boolean
  count: number
  services: string[]
  operations: string[]
  ids: string[]
  parent: Int32Array
  depth: Int32Array
  /** Spans of the subtree, with its top. */
  size: Int32Array
  start: Float64Array
  length: Float64Array
  service: Int32Array
  operation: Int32Array
  kind: Uint8Array
  status: Uint8Array
  flags: Uint8Array
  /** Errors of the subtree, its top included. */
  errors: Int32Array
  at: Map<string, number>
  maxDepth: number
  errorCount: number
  orphans: number
  early: number
  /** The most that a span starts before its parent, ns. */
  earliestBy: number
}

/** The rows of the answer in preorder, siblings by start. Total: no shape of parents breaks it. */
export function treeOf(answer: TraceAnswer): Trace {
  const { spans } = answer
  const count = spans.id.length
  const order = new Int32Array(count)
  const depth = new Int32Array(count)
  const flagOfRow = new Uint8Array(count)
  for (const row of answer.orphan ?? []) if (row < count) flagOfRow[row] = ORPHAN
  const place = preorder(spans.parent, order, depth, flagOfRow)

  const pick = <T extends Int32Array | Float64Array | Uint8Array>(into: T, from: ArrayLike<number>): T => {
    for (let at = 0; at < count; at++) into[at] = from[order[at]!] ?? 0
    return into
  }
  const flags = pick(new Uint8Array(count), flagOfRow)
  const trace: Trace = {
    id: answer.trace_id,
    startNs: BigInt(answer.start_ns),
    duration: Number(answer.duration_ns),
    total: answer.total,
    truncated: answer.truncated ?? false,
    complete: answer.complete,
    count,
    services: answer.services,
    operations: answer.operations,
    ids: Array.from(order, (row) => spans.id[row]!),
    parent: new Int32Array(count),
    depth,
    size: new Int32Array(count).fill(1),
    start: pick(new Float64Array(count), spans.start),
    length: pick(new Float64Array(count), spans.duration),
    service: pick(new Int32Array(count), spans.service),
    operation: pick(new Int32Array(count), spans.operation),
    kind: pick(new Uint8Array(count), spans.kind),
    status: pick(new Uint8Array(count), spans.status),
    flags,
    errors: new Int32Array(count),
    at: new Map(),
    maxDepth: 0,
    errorCount: 0,
    orphans: 0,
    early: 0,
    earliestBy: 0,
  }
  for (let at = 0; at < count; at++) {
    const row = order[at]!
    trace.at.set(trace.ids[at]!, at)
    // A span at the top has no parent here, whatever the answer said: it was an orphan or in a circle.
    trace.parent[at] = depth[at] === 0 ? -1 : place[spans.parent[row]!]!
    trace.maxDepth = Math.max(trace.maxDepth, depth[at]!)
    if (trace.status[at] === STATUS_ERROR) trace.errors[at] = 1
    if (flags[at]! & (ORPHAN | LOOP)) trace.orphans++
    const parent = trace.parent[at]!
    if (parent >= 0 && trace.start[at]! < trace.start[parent]!) {
      flags[at]! |= EARLY
      trace.early++
      trace.earliestBy = Math.max(trace.earliestBy, trace.start[parent]! - trace.start[at]!)
    }
  }
  for (let at = count - 1; at >= 0; at--) {
    const parent = trace.parent[at]!
    if (parent >= 0) {
      trace.size[parent]! += trace.size[at]!
      trace.errors[parent]! += trace.errors[at]!
    } else trace.errorCount += trace.errors[at]!
  }
  return trace
}

/** Fills `order` (place → row) and `depth` (by place); gives row → place. Rows come sorted by start. */
function preorder(parents: ArrayLike<number>, order: Int32Array, depth: Int32Array, flags: Uint8Array): Int32Array {
  const count = order.length
  const parent = Int32Array.from(parents, (up, row) => (up >= 0 && up < count && up !== row ? up : -1))
  const first = new Int32Array(count).fill(-1)
  const next = new Int32Array(count).fill(-1)
  let root = -1
  for (let row = count - 1; row >= 0; row--) {
    const up = parent[row]!
    if (up < 0) {
      next[row] = root
      root = row
    } else {
      next[row] = first[up]!
      first[up] = row
    }
  }
  const place = new Int32Array(count).fill(-1)
  let filled = 0
  // Without recursion: a chain of 50,000 spans is deeper than any stack.
  const walk = (top: number) => {
    let row = top
    let level = 0
    for (;;) {
      place[row] = filled
      order[filled] = row
      depth[filled++] = level
      if (first[row]! >= 0) {
        row = first[row]!
        level++
        continue
      }
      while (row !== top && next[row]! < 0) {
        row = parent[row]!
        level--
      }
      if (row === top) return
      row = next[row]!
    }
  }
  for (let row = root; row >= 0; row = next[row]!) walk(row)
  for (let row = 0; filled < count; row++) {
    if (place[row]! >= 0) continue
    const cut = inCircle(parent, row)
    unlink(cut, parent[cut]!, first, next)
    parent[cut] = -1
    flags[cut] = LOOP
    walk(cut)
  }
  return place
}

/** The earliest row of the circle that the parents of `row` end in. */
function inCircle(parent: Int32Array, row: number): number {
  const seen = new Set<number>()
  let at = row
  while (!seen.has(at)) {
    seen.add(at)
    at = parent[at]!
  }
  let earliest = at
  for (let other = parent[at]!; other !== at; other = parent[other]!) earliest = Math.min(earliest, other)
  return earliest
}

function unlink(row: number, parent: number, first: Int32Array, next: Int32Array): void {
  if (first[parent] === row) first[parent] = next[row]!
  else {
    let before = first[parent]!
    while (next[before] !== row) before = next[before]!
    next[before] = next[row]!
  }
  next[row] = -1
}

/** The span that stands for the trace: the first that has no parent by its own word, else the first. */
export function rootOf(trace: Trace): number {
  for (let at = 0; at < trace.count; at += trace.size[at]!) {
    if ((trace.flags[at]! & (ORPHAN | LOOP)) === 0) return at
  }
  return trace.count > 0 ? 0 : -1
}

/** Time in which the span ran and none of its children did, ns. */
export function selfTime(trace: Trace, at: number): number {
  const from = trace.start[at]!
  const to = from + trace.length[at]!
  let covered = 0
  let reached = from
  // Siblings are in order of their starts, so one pass joins what overlaps.
  for (let child = at + 1; child < at + trace.size[at]!; child += trace.size[child]!) {
    const begin = Math.max(reached, trace.start[child]!)
    const end = Math.min(to, trace.start[child]! + trace.length[child]!)
    if (end > begin) {
      covered += end - begin
      reached = end
    }
  }
  return to - from - covered
}
