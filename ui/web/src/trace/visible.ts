/** Which spans the waterfall shows: collapsed subtrees and filtered spans are left out. */
import { STATUS_ERROR, type Trace } from './tree'

/** Indexes of the shown spans, in order. `keep` has a 1 for each span that the filter lets through. */
export function visibleSpans(trace: Trace, collapsed: Uint8Array, keep?: Uint8Array): Int32Array {
  const shown = new Int32Array(trace.count)
  let count = 0
  for (let at = 0; at < trace.count; ) {
    if (keep && keep[at] === 0) {
      // Nothing below is kept either; see `longerThan`.
      at += trace.size[at]!
      continue
    }
    shown[count++] = at
    at += collapsed[at] ? trace.size[at]! : 1
  }
  return shown.subarray(0, count)
}

/** Spans of at least `min` ns, errors, and everything above them, so that no kept span hangs in the air. */
export function longerThan(trace: Trace, min: number): { keep: Uint8Array; hidden: number } {
  const keep = new Uint8Array(trace.count)
  let hidden = trace.count
  for (let at = trace.count - 1; at >= 0; at--) {
    if (trace.length[at]! >= min || trace.status[at] === STATUS_ERROR) keep[at] = 1
    if (keep[at] === 0) continue
    hidden--
    const parent = trace.parent[at]!
    if (parent >= 0) keep[parent] = 1
  }
  return { keep, hidden }
}

/** Everything at `level` and below it is folded into its parent; 0 leaves only the tops. */
export function collapseTo(trace: Trace, level: number): Uint8Array {
  const collapsed = new Uint8Array(trace.count)
  for (let at = 0; at < trace.count; at++) if (trace.size[at]! > 1 && trace.depth[at]! >= level) collapsed[at] = 1
  return collapsed
}

/** One span folded or unfolded; `whole` does the same to everything below it. */
export function fold(trace: Trace, collapsed: Uint8Array, at: number, folded: boolean, whole = false): Uint8Array {
  const next = collapsed.slice()
  const end = whole ? at + trace.size[at]! : at + 1
  for (let span = at; span < end; span++) if (trace.size[span]! > 1) next[span] = folded ? 1 : 0
  return next
}

/** Unfolds everything above a span, so that it is seen. The same array when it is seen already. */
export function reveal(trace: Trace, collapsed: Uint8Array, at: number): Uint8Array {
  let next = collapsed
  for (let up = trace.parent[at]!; up >= 0; up = trace.parent[up]!) {
    if (next[up] === 0) continue
    if (next === collapsed) next = collapsed.slice()
    next[up] = 0
  }
  return next
}

/** Where a span stands among the shown ones, or where it would; they are in ascending order. */
export function positionOf(shown: Int32Array, at: number): { position: number; found: boolean } {
  let low = 0
  let high = shown.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (shown[middle]! < at) low = middle + 1
    else high = middle
  }
  return { position: low, found: shown[low] === at }
}

/** The nearest span after (before) `at` for which `test` holds; undefined at the end. */
export function nextWhere(count: number, at: number, direction: 1 | -1, test: (span: number) => boolean): number | undefined {
  for (let span = at + direction; span >= 0 && span < count; span += direction) if (test(span)) return span
  return undefined
}
