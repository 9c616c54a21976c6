/** The order of a table of services, as the address keeps it: `p99` falling, `-p99` rising. */
import type { ServiceRow } from '../api/tracing'

export const SORTS = ['name', 'requests', 'errors', 'p50', 'p95', 'p99'] as const
export type Sort = (typeof SORTS)[number]

export interface Order {
  by: Sort
  turned: boolean
}

export function orderOf(text: string | undefined): Order {
  const turned = text?.startsWith('-') ?? false
  const by = SORTS.find((sort) => sort === (turned ? text!.slice(1) : text))
  return by ? { by, turned } : { by: 'requests', turned: false }
}

/** What to write after a click on a head: the default is not written, a second click turns around. */
export function clicked(text: string | undefined, by: Sort): string | undefined {
  const now = orderOf(text)
  const next = now.by === by && !now.turned ? `-${by}` : by
  return next === 'requests' ? undefined : next
}

/** Names rise, numbers fall, unless turned; what has no number is last either way. */
export function sorted(rows: ServiceRow[], order: Order, nameOf: (row: ServiceRow) => string): ServiceRow[] {
  const value = (row: ServiceRow): number | null => (order.by === 'errors' ? (row.requests === 0 ? null : row.errors / row.requests) : order.by === 'name' ? 0 : row[order.by])
  const sign = order.turned ? -1 : 1
  return [...rows].sort((a, b) => {
    const names = nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0
    if (order.by === 'name') return names * sign
    const [left, right] = [value(a), value(b)]
    if (left === null || right === null) return left === right ? names : left === null ? 1 : -1
    return (right - left) * sign || names
  })
}
