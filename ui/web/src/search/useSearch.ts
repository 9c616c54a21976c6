/** Runs the search of an address: one fixed range for all its pages, older pages on demand. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { Refusal, search } from '../api/client'
import type { Hit, HistogramData, Table } from '../api/types'
import { fromMillis } from '../time/instant'
import { resolve, type Bounds } from '../time/range'
import { rangeOf, zoneOf, type SearchAddress } from './address'

const PAGE_ROWS = 500
/** What stays smooth and fits into memory with lines of 4 KiB. */
export const ROWS_MAX = 10_000
const BARS = 120

export interface Found {
  /** The range in force; undefined where the address has one that cannot be read. */
  bounds: Bounds | undefined
  hits: Hit[]
  total: number | null | undefined
  complete: boolean
  tookMs: number | undefined
  histogram: HistogramData | undefined
  /** The answer to a query with pipes; there are no lines then. */
  table: Table | undefined
  refusal: Refusal | undefined
  loading: boolean
  /** What is shown belongs to the search before. */
  stale: boolean
  loadingMore: boolean
  isFull: boolean
  more: (() => void) | undefined
  /** Asks again, with a new now. */
  again: () => void
}

export function useSearch(address: SearchAddress): Found {
  const [run, setRun] = useState(0)
  const range = rangeOf(address)
  const zone = zoneOf(address)
  // `now` is fixed once a search, so that its pages and its histogram speak of the same lines.
  const bounds = useMemo(() => resolve({ from: range.from, to: range.to }, zone, fromMillis(Date.now())), [range.from, range.to, zone, run])
  const q = address.q ?? ''
  const order = address.order
  const key = ['search', q, bounds?.from?.toString(), bounds?.to?.toString(), order]
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      search(
        {
          q,
          from: bounds?.from?.toString(),
          to: bounds?.to?.toString(),
          limit: PAGE_ROWS,
          order,
          cursor: pageParam,
          histogram: pageParam === undefined ? BARS : undefined,
        },
        signal,
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    enabled: bounds !== undefined,
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    staleTime: Infinity,
  })
  const hits = useMemo(() => found.data?.pages.flatMap((page) => page.hits) ?? [], [found.data])
  const first = found.data?.pages[0]
  const isFull = hits.length >= ROWS_MAX && found.hasNextPage
  const canLoad = found.hasNextPage && !found.isFetching && !isFull && !found.isError
  return {
    bounds,
    hits,
    total: first?.total,
    complete: found.data?.pages.every((page) => page.complete) ?? true,
    tookMs: first?.took_ms,
    histogram: first?.histogram ?? undefined,
    table: first?.table ?? undefined,
    refusal: found.error === null ? undefined : found.error instanceof Refusal ? found.error : new Refusal(found.error.message, 0),
    loading: found.isFetching && !found.isFetchingNextPage,
    stale: found.isPlaceholderData,
    loadingMore: found.isFetchingNextPage,
    isFull,
    more: canLoad ? () => void found.fetchNextPage() : undefined,
    again: () => {
      const next = resolve(range, zone, fromMillis(Date.now()))
      // A fixed range keeps its key, so the same question must be asked again in so many words.
      if (next?.from === bounds?.from && next?.to === bounds?.to) void found.refetch()
      else setRun(run + 1)
    },
  }
}
