/** The trace's log lines in the order of their times, each with the span that it was written in. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo, useRef, useState } from 'react'
import { search } from '../api/client'
import type { Hit } from '../api/types'
import { t } from '../i18n'
import { tt } from '../i18n/tracing'
import { include } from '../query/clauses'
import { copyText, Drawer } from '../rows/Drawer'
import { Rows, rowId, type Row } from '../rows/Rows'
import { useRowKeys } from '../rows/useRowKeys'
import { useWrap } from '../rows/useWrap'
import { writeQueryString, zoneOf } from '../search/address'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { WarnIcon, WrapIcon } from '../shell/icons'
import { formatTime } from '../time/zone'
import type { TraceAddress } from '../traces/address'
import type { Go } from './TracePage'
import type { Trace } from './tree'

const PAGE_ROWS = 500
const COLUMNS = ['service', 'operation']

interface Props {
  trace: Trace
  address: TraceAddress
  go: Go
}

export function TraceLogs({ trace, address, go }: Props) {
  const navigate = useNavigate()
  const [active, setActive] = useState<string | undefined>(address.line)
  const [wrap, toggleWrap] = useWrap()
  const scroller = useRef<HTMLDivElement>(null)
  const zone = zoneOf(address)
  const only = address.only === 'span' ? address.span : undefined
  const q = `trace_id:${trace.id}${only === undefined ? '' : ` span_id:${only}`}`
  const found = useInfiniteQuery({
    queryKey: ['search', q, 'oldest'],
    queryFn: ({ pageParam, signal }) => search({ q, limit: PAGE_ROWS, order: 'oldest', cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 5000,
  })
  const pages = found.data?.pages
  const rows = useMemo<Row[]>(() => (pages ?? []).flatMap((page) => page.hits.map((hit) => ({ kind: 'hit', hit: withSpan(trace, hit) }))), [pages, trace])
  // As it came: in the details, what is filtered by must be the line's own.
  const selected = useMemo(() => pages?.flatMap((page) => page.hits).find((hit) => hit.id === address.line), [pages, address.line])
  const open = useCallback((hit: Hit) => go({ line: hit.id }), [go])
  const close = useCallback(() => go({ line: undefined }), [go])
  const activate = useCallback((row: Row) => setActive(rowId(row)), [])
  const toSpan = useCallback((hit: Hit) => go({ tab: undefined, span: hit.span_id ?? undefined }), [go])
  const link = (hit: Hit) => `${location.origin}/search${writeQueryString({ q: `trace_id:${trace.id}`, from: 'all', order: 'oldest', tz: address.tz, line: hit.id })}`
  const { step } = useRowKeys({ rows, active, selected: address.line, setActive, open, close, toggleWrap, copyLink: (hit) => void copyText(link(hit)), openTrace: toSpan })

  const first = pages?.[0]
  const total = first?.total ?? rows.length
  const none = found.data !== undefined && rows.length === 0 && !found.isPlaceholderData
  const isOneDay = trace.count === 0 || formatTime(trace.startNs, zone, 0).slice(0, 10) === formatTime(trace.startNs + BigInt(Math.round(trace.duration)), zone, 0).slice(0, 10)
  return (
    <>
      <div className="trace-tools">
        <span aria-live="polite"><b data-testid="log-count">{first ? tt.logs.count(total) : tt.logs.loading}</b></span>
        {pages?.some((page) => !page.complete) && <span className="warn"><WarnIcon /> {t.search.incomplete}</span>}
        {address.span !== undefined && (
          <label className="check">
            <input type="checkbox" checked={address.only === 'span'} onChange={(event) => go({ only: event.target.checked ? 'span' : undefined })} />
            <span>{tt.logs.only}</span>
          </label>
        )}
        <span className="spacer" />
        <button type="button" className="button quiet" aria-pressed={wrap} onClick={toggleWrap} title={`${t.search.wrap} (w)`}><WrapIcon /><span>{t.search.wrap}</span></button>
      </div>
      {found.error && <Failure message={found.error.message} onRetry={() => void found.refetch()} />}
      <div className={address.line ? 'split' : 'split closed'}>
        {none ? (
          <Empty title={only === undefined ? tt.logs.none : tt.logs.noneOfSpan} {...(only === undefined ? { hint: tt.logs.noneHint } : {})} />
        ) : (
          <Rows
            rows={rows}
            columns={COLUMNS}
            zone={zone}
            wrap={wrap}
            label={tt.logs.title}
            active={active}
            selected={address.line}
            onActivate={activate}
            onOpen={open}
            scroller={scroller}
            onTrace={toSpan}
            shortTime={isOneDay}
            onEnd={found.hasNextPage && !found.isFetching && !found.isError ? () => void found.fetchNextPage() : undefined}
            footer={found.isFetchingNextPage ? <p className="rows-note">{t.search.loadingMore}</p> : null}
          />
        )}
        {address.line && (
          <Drawer
            id={address.line}
            hit={selected}
            zone={zone}
            columns={COLUMNS}
            link={link}
            onClose={close}
            onStep={step}
            onFilter={(field, value, negated) => void navigate({ to: '/search', search: { q: include(`trace_id:${trace.id}`, field, value, negated), from: 'all' } })}
          />
        )}
      </div>
    </>
  )
}

/** The line with the operation of its span, which the column shows; one without a span here leads to none. */
function withSpan(trace: Trace, hit: Hit): Hit {
  const at = hit.span_id == null ? undefined : trace.at.get(hit.span_id)
  if (at === undefined) return { ...hit, trace_id: null, operation: hit.span_id == null ? '' : tt.logs.elsewhere }
  return { ...hit, operation: trace.operations[trace.operation[at]!] ?? '' }
}
