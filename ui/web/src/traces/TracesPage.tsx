/** Traces: which spans to look for, the traces that have them over time, and as a list. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo, useRef, useState } from 'react'
import { Refusal } from '../api/client'
import { traces } from '../api/tracing'
import { t } from '../i18n'
import { tt } from '../i18n/tracing'
import { rangeOf, writeQueryString, zoneOf } from '../search/address'
import { Chips, QueryError, QueryField } from '../search/QueryField'
import { TimeField } from '../search/TimeField'
import { Failure } from '../shell/Failure'
import { WarnIcon } from '../shell/icons'
import { useKeys } from '../shell/keys'
import { absolute, type TimeRange } from '../time/range'
import { useBounds } from '../time/useBounds'
import { readTracesAddress, type TracesAddress } from './address'
import { NoTraces, SpanSyntax } from './NoTraces'
import { partOf } from './query'
import { Scatter } from './Scatter'
import { TraceForm } from './TraceForm'
import { TraceList } from './TraceList'
import '../styles/traces.css'

const route = getRouteApi('/traces')

/** The API's own limit; a list to choose from, not to read through. */
const LIMIT = 200

/** Where Back comes back to. */
let lastOpened: string | undefined

export function TracesPage() {
  const address = route.useSearch()
  const navigate = useNavigate()
  const { bounds, from, to, run, again } = useBounds(address)
  const field = useRef<HTMLInputElement>(null)
  const [active, setActive] = useState(lastOpened)
  const [revision, setRevision] = useState(0)
  const q = address.q ?? ''
  const zone = zoneOf(address)
  const found = useQuery({
    queryKey: ['traces', q, from, to, run],
    queryFn: ({ signal }) => traces({ q, from, to, limit: LIMIT }, signal),
    enabled: bounds !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  })
  const refusal = found.error === null ? undefined : found.error instanceof Refusal ? found.error : new Refusal(found.error.message, 0)
  const list = useMemo(() => found.data?.traces ?? [], [found.data])

  const go = (change: { [Name in keyof TracesAddress]?: TracesAddress[Name] | undefined }, replace = false) =>
    void navigate({ to: '/traces', search: (before) => readTracesAddress({ ...before, ...change }), replace })
  const setQuery = (text: string) => {
    if (text !== q) return go({ q: text })
    // The address stays, so the field must be told to show it again.
    setRevision(revision + 1)
    again()
  }
  const setRange = (range: TimeRange) => (range.from === rangeOf(address).from && range.to === rangeOf(address).to ? again() : go({ from: range.from, to: range.to }))
  const open = (id: string, elsewhere = false) => {
    lastOpened = id
    if (elsewhere) window.open(`/traces/${id}${writeQueryString({ tz: address.tz })}`, '_blank', 'noopener')
    else void navigate({ to: '/traces/$id', params: { id }, search: address.tz === undefined ? {} : { tz: address.tz } })
  }
  useKeys({ '/': () => field.current?.focus() })

  const nothing = found.data !== undefined && !refusal && list.length === 0 && !found.isPlaceholderData
  return (
    <div className="page traces-page">
      <h1 className="hidden">{t.pages.traces}</h1>
      <header className="bar">
        <QueryField q={q} revision={revision} onSubmit={setQuery} refusal={refusal} field={field} button={t.search.run} placeholder={tt.list.placeholder} />
        <TimeField range={rangeOf(address)} zone={zone} bounds={bounds} onRange={setRange} onZone={(next) => go({ tz: next }, true)} />
      </header>
      <TraceForm q={q} draft={() => field.current?.value ?? q} from={from} to={to} onQuery={setQuery} />
      <Chips q={q} onChange={setQuery} without={(clause) => partOf(clause) !== undefined} />
      {refusal && (refusal.span ? <QueryError q={q} refusal={refusal} /> : <Failure message={refusal.message} onRetry={again} />)}
      {bounds === undefined && <Failure message={t.search.noTime} />}
      {!nothing && !refusal && list.length > 0 && <Scatter traces={list} bounds={bounds} zone={zone} active={active} onOpen={open} onRange={(low, high) => setRange(absolute(low, high))} />}
      <div className="summary">
        {refusal || bounds === undefined ? <span className="faint">–</span> : (
          <p className={found.isPlaceholderData ? 'counts stale' : 'counts'} aria-live="polite">
            {found.data === undefined ? <span className="faint">{t.search.loading}</span> : (
              <>
                <b data-testid="trace-count">{tt.list.count(list.length)}</b>
                <span className="faint">{t.search.took(found.data.took_ms)}</span>
                {list.length >= LIMIT && <span className="faint">{tt.list.newest(LIMIT)}</span>}
                {!found.data.complete && <span className="warn" data-testid="incomplete"><WarnIcon /> {t.search.incomplete}</span>}
              </>
            )}
          </p>
        )}
      </div>
      <div className="split closed">
        {nothing ? <NoTraces address={address} onRange={setRange} onQuery={setQuery} />
          : refusal ? <div className="empty"><SpanSyntax onQuery={setQuery} alone /></div>
            : <TraceList traces={list} zone={zone} bounds={bounds} active={active} onActive={setActive} onOpen={open} />}
      </div>
    </div>
  )
}
