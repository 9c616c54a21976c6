/** Spans by a part of their operation or service, or by their id. */
import type { Trace } from './tree'

/** Ascending indexes. Names are looked at once each, not once a span. */
export function findSpans(trace: Trace, text: string): Int32Array {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return new Int32Array(0)
  const has = (names: string[]) => names.map((name) => name.toLowerCase().includes(wanted))
  const services = has(trace.services)
  const operations = has(trace.operations)
  const byId = trace.at.get(wanted)
  const found = new Int32Array(trace.count)
  let count = 0
  for (let at = 0; at < trace.count; at++) {
    if (services[trace.service[at]!] || operations[trace.operation[at]!] || at === byId) found[count++] = at
  }
  return found.slice(0, count)
}
