/** One trace: what it was, its spans over time, what is known of a span, and its logs. */
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { Tabs } from 'radix-ui'
import { useCallback, useMemo, useState } from 'react'
import { trace as fetchTrace } from '../api/tracing'
import { formatCount } from '../i18n'
import { tt } from '../i18n/tracing'
import { CopyButton } from '../rows/Drawer'
import { defined, zoneOf } from '../search/address'
import { Failure } from '../shell/Failure'
import { LeftIcon, LinkIcon, SearchIcon, WarnIcon } from '../shell/icons'
import { formatTime, zoneLabel } from '../time/zone'
import { readTraceAddress, type TraceAddress } from '../traces/address'
import { colourValue, coloursOf } from '../traces/colours'
import { formatDuration } from '../traces/duration'
import { rootOf, treeOf, type Trace } from './tree'
import { Spans } from './Spans'
import { TraceLogs } from './TraceLogs'
import '../styles/traces.css'
import '../styles/trace.css'

const route = getRouteApi('/traces/$id')

/** More would fill the head; the search within the trace knows them all. */
const LEGEND = 10

export type SetCollapsed = (change: (before: Uint8Array) => Uint8Array) => void
export type Go = (change: { [Name in keyof TraceAddress]?: TraceAddress[Name] | undefined }) => void

export function TracePage() {
  const { id } = route.useParams()
  const address = route.useSearch()
  const navigate = useNavigate()
  const found = useQuery({ queryKey: ['trace', id], queryFn: ({ signal }) => fetchTrace(id, signal), staleTime: 60_000, gcTime: 60_000, structuralSharing: false })
  const trace = useMemo(() => found.data && treeOf(found.data), [found.data])
  const colours = useMemo(() => coloursOf(trace?.services ?? []), [trace])
  // Kept here, so that a look at the logs does not unfold everything; another answer has other spans.
  const [folds, setFolds] = useState<{ trace: Trace; collapsed: Uint8Array }>()
  const unfolded = useMemo(() => new Uint8Array(trace?.count ?? 0), [trace])
  const collapsed = folds && folds.trace === trace ? folds.collapsed : unfolded
  const setCollapsed = useCallback<SetCollapsed>(
    (change) => trace && setFolds((before) => ({ trace, collapsed: change(before?.trace === trace ? before.collapsed : unfolded) })),
    [trace, unfolded],
  )
  // Looking around in a trace is not a step that Back undoes: Back leads to where the trace was chosen.
  const go = useCallback<Go>((change) => void navigate({ to: '/traces/$id', params: { id }, search: (before) => readTraceAddress({ ...before, ...change }), replace: true }), [navigate, id])
  return (
    <div className="page trace-page">
      {trace ? (
        <>
          <Head trace={trace} colours={colours} address={address} go={go} onAgain={() => void found.refetch()} />
          <Tabs.Root className="trace-tabs" value={address.tab ?? 'spans'} onValueChange={(tab) => go({ tab: tab === 'logs' ? 'logs' : undefined })}>
            <Tabs.List className="tabs" aria-label={tt.trace.title}>
              <Tabs.Trigger value="spans">{tt.trace.waterfall}</Tabs.Trigger>
              <Tabs.Trigger value="logs">{tt.trace.logs}</Tabs.Trigger>
            </Tabs.List>
            <Tabs.Content value="spans" tabIndex={-1}><Spans key={`${trace.id} ${trace.count}`} trace={trace} collapsed={collapsed} setCollapsed={setCollapsed} colours={colours} address={address} go={go} /></Tabs.Content>
            <Tabs.Content value="logs" tabIndex={-1}><TraceLogs trace={trace} address={address} go={go} /></Tabs.Content>
          </Tabs.Root>
        </>
      ) : (
        <div className="trace-head">
          <BackLink address={address} />
          <h1>{tt.trace.title} <span className="mono faint">{id}</span></h1>
          {found.error ? <Failure message={found.error.message} onRetry={() => void found.refetch()} /> : <p className="faint">{tt.trace.loading}</p>}
        </div>
      )}
    </div>
  )
}

const BackLink = ({ address }: { address: TraceAddress }) => (
  <Link to="/traces" search={defined<{ tz?: string }>({ tz: address.tz })} className="button quiet icon-only" aria-label={tt.trace.back} title={tt.trace.back}><LeftIcon /></Link>
)

interface HeadProps {
  trace: Trace
  colours: Map<string, number>
  address: TraceAddress
  go: Go
  onAgain: () => void
}

function Head({ trace, colours, address, go, onAgain }: HeadProps) {
  const zone = zoneOf(address)
  const root = rootOf(trace)
  const service = trace.services[trace.service[root] ?? -1] ?? ''
  const facts: [string, string][] = [
    [tt.trace.start, `${formatTime(trace.startNs, zone)} ${zoneLabel(zone, trace.startNs)}`],
    [tt.trace.duration, formatDuration(trace.duration)],
    [tt.trace.spans, formatCount(trace.total)],
    [tt.trace.depth, formatCount(trace.maxDepth + 1)],
    [tt.trace.errors, formatCount(trace.errorCount)],
  ]
  return (
    <header className="trace-head">
      <div className="trace-title">
        <BackLink address={address} />
        <h1 data-testid="trace-title"><i className="dot" style={{ background: colourValue(colours.get(service)) }} />{service} <span>{trace.operations[trace.operation[root] ?? -1]}</span></h1>
        <span className="spacer" />
        <Link to="/search" search={{ q: `trace_id:${trace.id}`, from: 'all', ...defined<{ tz?: string }>({ tz: address.tz }) }} className="button small"><SearchIcon />{tt.trace.openLogs}</Link>
        <CopyButton label={tt.trace.copyLink} icon={<LinkIcon />} text={() => location.href} />
      </div>
      <div className="trace-about">
        <dl className="facts">
          {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className={name === tt.trace.errors && trace.errorCount > 0 ? 'bad' : ''}>{value}</dd></div>)}
        </dl>
        <span className="trace-legend" aria-label={tt.trace.services} role="group">
          {trace.services.slice(0, LEGEND).map((name) => (
            <button key={name} type="button" className="service-chip" title={`${tt.trace.find}: ${name}`} onClick={() => go({ find: name, tab: undefined })}>
              <i className="dot" style={{ background: colourValue(colours.get(name)) }} />{name}
            </button>
          ))}
          {trace.services.length > LEGEND && <span className="faint">{tt.list.more(trace.services.length - LEGEND)}</span>}
        </span>
      </div>
      <Notes trace={trace} onAgain={onAgain} />
    </header>
  )
}

/** What is missing or odd about this trace, in so many words. */
function Notes({ trace, onAgain }: { trace: Trace; onAgain: () => void }) {
  const root = rootOf(trace)
  const notes: string[] = []
  if (!trace.complete) notes.push(tt.trace.incomplete)
  if (trace.truncated) notes.push(tt.trace.truncated(trace.count, trace.total))
  if (root >= 0 && trace.flags[root] !== 0) notes.push(tt.trace.rootMissing)
  if (trace.orphans > 0) notes.push(tt.trace.orphans(trace.orphans))
  if (trace.early > 0) notes.push(tt.trace.early(trace.early, formatDuration(trace.earliestBy)))
  if (notes.length === 0) return null
  return (
    <div className="trace-notes" role="note" data-testid="trace-notes">
      <WarnIcon />
      <ul>{notes.map((note) => <li key={note}>{note}</li>)}</ul>
      {(!trace.complete || trace.orphans > 0) && <button type="button" className="button small" onClick={onAgain}>{tt.trace.loadAgain}</button>}
    </div>
  )
}

export const shortId = (id: string): string => id.slice(0, 8)
