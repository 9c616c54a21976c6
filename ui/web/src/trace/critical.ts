/**
 * The critical path: the stretches of spans that, had they been shorter, would have made the trace shorter.
 *
 * Read backwards from the end of the root. The child that ended last is what its parent waited for; before
 * that child began, the parent waited for the last one that had ended by then, and so on down. What no child
 * covers is the span's own. Children that outlive their parent are cut at its end: it did not wait for them.
 */
import { rootOf, type Trace } from './tree'

export interface CriticalPath {
  /** Stretches in order of time; each is one span's, and together they are the whole root without a gap. */
  stretches: { span: number; from: number; to: number }[]
  bySpan: Map<number, { from: number; to: number }[]>
}

export function criticalPath(trace: Trace): CriticalPath {
  const root = rootOf(trace)
  const stretches: CriticalPath['stretches'] = []
  if (root >= 0) {
    const work = [{ span: root, from: trace.start[root]!, to: trace.start[root]! + trace.length[root]! }]
    // A stack instead of recursion; what is pushed last is latest in time, so stretches come out backwards.
    while (work.length > 0) {
      const { span, from, to } = work.pop()!
      if (trace.size[span] === 1 || span < 0) {
        if (to > from) stretches.push({ span: span < 0 ? ~span : span, from, to })
        continue
      }
      const pieces = split(trace, span, from, to)
      for (let index = pieces.length - 1; index >= 0; index--) work.push(pieces[index]!)
    }
  }
  stretches.reverse()
  const bySpan: CriticalPath['bySpan'] = new Map()
  for (const { span, from, to } of stretches) {
    const own = bySpan.get(span)
    const last = own?.at(-1)
    if (last && last.to === from) last.to = to
    else if (own) own.push({ from, to })
    else bySpan.set(span, [{ from, to }])
  }
  return { stretches, bySpan }
}

/** The window of one span from its end to its start: stretches of its own (as `~span`) and of its children. */
function split(trace: Trace, span: number, from: number, to: number): { span: number; from: number; to: number }[] {
  const children: { span: number; from: number; to: number }[] = []
  for (let child = span + 1; child < span + trace.size[span]!; child += trace.size[child]!) {
    const begin = Math.max(from, trace.start[child]!)
    const end = Math.min(to, trace.start[child]! + trace.length[child]!)
    if (end > begin) children.push({ span: child, from: begin, to: end })
  }
  children.sort((a, b) => b.to - a.to || a.from - b.from)
  const pieces: { span: number; from: number; to: number }[] = []
  let cursor = to
  for (const child of children) {
    if (child.to > cursor) continue
    if (child.to < cursor) pieces.push({ span: ~span, from: child.to, to: cursor })
    pieces.push(child)
    cursor = child.from
  }
  if (cursor > from) pieces.push({ span: ~span, from, to: cursor })
  return pieces
}
