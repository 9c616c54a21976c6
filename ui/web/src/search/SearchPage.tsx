/** Search: a query, a range, what matches over time, and the lines. */
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Hit } from '../api/types'
import { t } from '../i18n'
import { include, indexIn, remove, chips, shownValue, clauses } from '../query/clauses'
import { copyText, Drawer } from '../rows/Drawer'
import { Rows, rowId, type Row } from '../rows/Rows'
import { useOpenTrace } from '../rows/useOpenTrace'
import { useRowKeys } from '../rows/useRowKeys'
import { useWrap } from '../rows/useWrap'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { LiveIcon, SortIcon, WarnIcon, WrapIcon } from '../shell/icons'
import { useKeys } from '../shell/keys'
import { fromRfc3339, NS_PER_SECOND } from '../time/instant'
import { absolute, ALL_TIME, zoomOut, type Bounds, type TimeRange } from '../time/range'
import { formatTime, type Zone } from '../time/zone'
import { columnsOf, columnsText, rangeOf, readAddress, writeQueryString, zoneOf, type SearchAddress } from './address'
import { Histogram } from './Histogram'
import { Chips, QueryError, QueryField } from './QueryField'
import { TableAnswer } from './TableAnswer'
import { TimeField } from './TimeField'
import { useSearch, type Found } from './useSearch'

const route = getRouteApi('/search')

export function SearchPage() {
  const address = route.useSearch()
  const navigate = useNavigate()
  const found = useSearch(address)
  const [active, setActive] = useState<string | undefined>(address.line)
  const [wrap, toggleWrap] = useWrap()
  const openTrace = useOpenTrace()
  const field = useRef<HTMLInputElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const q = address.q ?? ''
  const zone = zoneOf(address)
  const columns = useMemo(() => columnsOf(address), [address])
  const rows = useMemo<Row[]>(() => found.hits.map((hit) => ({ kind: 'hit', hit })), [found.hits])

  /** Everything goes through the URL; a change of the search is a step that Back undoes. */
  const go = useCallback(
    (change: { [Name in keyof SearchAddress]?: SearchAddress[Name] | undefined }, replace = false) =>
      void navigate({ to: '/search', search: (before) => readAddress({ ...before, ...change }), replace }),
    [navigate],
  )
  const [revision, setRevision] = useState(0)
  const setQuery = (text: string) => {
    if (text !== q) return go({ q: text, line: undefined })
    // The address stays, so the field must be told to show it again.
    setRevision(revision + 1)
    found.again()
  }
  /** Filters go onto what stands in the field, be it searched already or not. */
  const draft = () => field.current?.value ?? q
  const setRange = (range: TimeRange) => (range.from === rangeOf(address).from && range.to === rangeOf(address).to ? found.again() : go({ from: range.from, to: range.to }))
  const open = useCallback((hit: Hit) => go({ line: hit.id }, true), [go])
  const close = useCallback(() => go({ line: undefined }, true), [go])
  const activate = useCallback((row: Row) => setActive(rowId(row)), [])
  const filter = (name: string, value: string, negated: boolean) => setQuery(include(draft(), name, value, negated))
  const toggleColumn = (name: string) => {
    const next = columns.includes(name) ? columns.filter((other) => other !== name) : [...columns, name]
    go({ cols: columnsText(next, q) }, true)
  }

  const link = (hit: Hit): string => location.origin + '/search' + writeQueryString({ ...address, ...around(address, found, hit), line: hit.id })
  const { step } = useRowKeys({ rows, active, selected: address.line, setActive, open, close, toggleWrap, copyLink: (hit) => void copyText(link(hit)), openTrace })
  useKeys({ '/': () => field.current?.focus() })

  // Another search begins at its top.
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 })
  }, [q, address.from, address.to, address.order])

  const selected = useMemo(() => found.hits.find((hit) => hit.id === address.line), [found.hits, address.line])
  const nothing = !found.loading && !found.refusal && found.bounds !== undefined && rows.length === 0 && !found.table
  const zoomed = found.bounds && zoomOut(found.bounds)
  return (
    <div className="page search-page">
      <h1 className="hidden">{t.pages.search}</h1>
      <header className="bar">
        <QueryField q={q} revision={revision} onSubmit={setQuery} refusal={found.refusal} field={field} button={t.search.run} />
        <TimeField range={rangeOf(address)} zone={zone} bounds={found.bounds} onRange={setRange} onZone={(next) => go({ tz: next }, true)} />
      </header>
      <Chips q={q} onChange={setQuery} />
      {found.refusal && (found.refusal.span ? <QueryError q={q} refusal={found.refusal} /> : <Failure message={found.refusal.message} onRetry={found.again} />)}
      {found.bounds === undefined && <Failure message={t.search.noTime} />}
      {found.histogram && !nothing && !found.refusal && (
        <Histogram
          data={found.histogram}
          zone={zone}
          onZoom={(from, to) => setRange(absolute(from, to))}
          onZoomOut={() => zoomed && setRange(zoomed)}
          onLevel={(level) => (level === 'none' ? setQuery(withoutLevel(draft())) : filter('level', level, false))}
        />
      )}
      <div className="summary">
        <Summary found={found} />
        <span className="spacer" />
        <Link to="/live" search={readAddress({ q, tz: address.tz, cols: address.cols })} className="button quiet" title={t.search.live}><LiveIcon /><span>{t.pages.live}</span></Link>
        <button type="button" className="button quiet" onClick={() => go({ order: address.order ? undefined : 'oldest' })}><SortIcon /><span>{address.order ? t.search.oldest : t.search.newest}</span></button>
        <button type="button" className="button quiet" aria-pressed={wrap} onClick={toggleWrap} title={`${t.search.wrap} (w)`}><WrapIcon /><span>{t.search.wrap}</span></button>
      </div>
      <div className={address.line ? 'split' : 'split closed'}>
        {nothing ? (
          <NothingFound address={address} onRange={setRange} onQuery={setQuery} />
        ) : found.refusal ? (
          <Syntax onQuery={setQuery} />
        ) : found.table ? (
          <TableAnswer table={found.table} zone={zone} />
        ) : (
          <Rows
            rows={rows}
            columns={columns}
            zone={zone}
            wrap={wrap}
            label={t.search.rows}
            active={active}
            selected={address.line}
            onActivate={activate}
            onOpen={open}
            scroller={scroller}
            onTrace={openTrace}
            shortTime={isOneDay(found.bounds, zone)}
            onEnd={found.more}
            footer={found.loadingMore ? <p className="rows-note">{t.search.loadingMore}</p> : found.isFull ? <p className="rows-note">{t.search.full(rows.length)}</p> : null}
          />
        )}
        {address.line && <Drawer key="drawer" id={address.line} index={indexIn(q)} hit={selected} zone={zone} columns={columns} link={link} onClose={close} onStep={step} onFilter={filter} onColumn={toggleColumn} />}
      </div>
    </div>
  )
}

/** Is a time of day enough to tell the rows of this range apart? */
const isOneDay = (bounds: Bounds | undefined, zone: Zone): boolean =>
  bounds?.from !== undefined && bounds.to !== undefined && formatTime(bounds.from, zone, 0).slice(0, 10) === formatTime(bounds.to, zone, 0).slice(0, 10)

/** A link to a line must find it tomorrow, so relative ends become the moments they stood for. */
function around(address: SearchAddress, found: Found, hit: Hit): Partial<SearchAddress> {
  if (rangeOf(address).from === 'all') return { from: 'all' }
  const time = fromRfc3339(hit.timestamp)
  const from = found.bounds?.from ?? time - 60n * NS_PER_SECOND
  const to = found.bounds?.to ?? time + 60n * NS_PER_SECOND
  return absolute(from, to)
}

const withoutLevel = (q: string): string => {
  const others = (clauses(q) ?? []).filter((clause) => clause.field === 'level').reverse().reduce((text, clause) => remove(text, clause), q)
  return `${others} NOT _exists_:level`.trim()
}

function Summary({ found }: { found: Found }) {
  if (found.refusal || found.bounds === undefined) return <span className="faint">–</span>
  return (
    <p className={found.stale ? 'counts stale' : 'counts'} aria-live="polite">
      {found.loading && found.total === undefined ? (
        <span className="faint">{t.search.loading}</span>
      ) : (
        <>
          <b data-testid="total">{found.table ? t.search.tableRows(found.table.rows.length) : found.total === null || found.total === undefined ? t.search.atLeast(found.hits.length) : t.search.matches(found.total)}</b>
          {found.tookMs !== undefined && <span className="faint">{t.search.took(found.tookMs)}</span>}
          {!found.table && found.total !== found.hits.length && <span className="faint">{t.search.loaded(found.hits.length)}</span>}
          {!found.complete && <span className="warn"><WarnIcon /> {t.search.incomplete}</span>}
        </>
      )}
    </p>
  )
}

function NothingFound({ address, onRange, onQuery }: { address: SearchAddress; onRange: (range: TimeRange) => void; onQuery: (q: string) => void }) {
  const q = address.q ?? ''
  const filters = chips(q)
  const isAll = rangeOf(address).from === 'all'
  if (isAll && (q === '' || q === '*')) {
    return (
      <Empty title={t.empty.noDataTitle} hint={t.empty.noData}>
        <pre tabIndex={0}>{t.empty.command}</pre>
      </Empty>
    )
  }
  return (
    <Empty title={t.empty.title}>
      {!isAll && (
        <>
          <p>{t.empty.range}</p>
          <div className="empty-actions">
            {(['1h', '24h', '7d'] as const).map((span) => <button key={span} type="button" className="button" onClick={() => onRange({ from: span, to: 'now' })}>{t.time.last(t.time.spans[span]!)}</button>)}
            <button type="button" className="button primary" onClick={() => onRange(ALL_TIME)}>{t.empty.allTime}</button>
          </div>
        </>
      )}
      {filters.length > 0 && (
        <>
          <p>{t.empty.filters}</p>
          <div className="empty-actions">
            {filters.map((clause) => <button key={clause.from} type="button" className="button" onClick={() => onQuery(remove(q, clause))}>{clause.field}: {shownValue(clause)}</button>)}
          </div>
        </>
      )}
      <SyntaxList onQuery={onQuery} />
    </Empty>
  )
}

const Syntax = ({ onQuery }: { onQuery: (q: string) => void }) => <div className="empty"><SyntaxList onQuery={onQuery} /></div>

function SyntaxList({ onQuery }: { onQuery: (q: string) => void }) {
  return (
    <>
      <h3>{t.empty.syntaxTitle}</h3>
      <dl className="syntax">
        {t.empty.syntax.map(([example, meaning]) => (
          <div key={example}>
            <dt><button type="button" className="link mono" onClick={() => onQuery(example)}>{example}</button></dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}

