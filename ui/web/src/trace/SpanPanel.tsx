/** All that is known of one span. Its attributes are fetched when it is chosen, not with the trace. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Fragment, useState, type ReactNode } from 'react'
import { span as fetchSpan } from '../api/tracing'
import type { Hit, SpanEvent } from '../api/types'
import { tt } from '../i18n/tracing'
import { Breakable, CopyButton } from '../rows/Drawer'
import { flattened, type FieldValue } from '../rows/fields'
import { CloseIcon, DownIcon, LinkIcon, UpIcon } from '../shell/icons'
import { fromRfc3339, NS_PER_SECOND } from '../time/instant'
import { absolute, type TimeRange } from '../time/range'
import { percent } from '../services/chart'
import { formatTime, type Zone } from '../time/zone'
import { colourValue } from '../traces/colours'
import { formatDuration } from '../traces/duration'
import { queryFor } from '../traces/query'
import type { CriticalPath } from './critical'
import type { Go } from './TracePage'
import { shownOf, type Limits } from './cut'
import { selfTime, STATUS_ERROR, type Trace } from './tree'
import { marksOf } from './Waterfall'

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const STATUSES = ['unset', 'ok', 'error']

/** Shown at once, and at most; a span with hundreds of attributes must not make every step through the spans slow. */
const FIELDS: Limits = { few: 20, most: 1000 }
const EVENTS: Limits = { few: 10, most: 200 }

/** How far before and after the trace others with the same value are looked for. */
const AROUND_NS = 30n * 60n * NS_PER_SECOND

interface Props {
  trace: Trace
  spanId: string
  /** Where it stands; undefined when the trace has no such span. */
  at: number | undefined
  colours: Map<string, number>
  zone: Zone
  path: CriticalPath | undefined
  go: Go
  onClose: () => void
  onStep: (direction: 1 | -1) => void
  onGoTo: (at: number) => void
  onZoom: (at: number) => void
}

export function SpanPanel(props: Props) {
  const { trace, spanId, at, onClose, onStep } = props
  const found = useQuery({ queryKey: ['span', trace.id, spanId], queryFn: ({ signal }) => fetchSpan(trace.id, spanId, signal), staleTime: Infinity, enabled: at !== undefined })
  return (
    <aside className="drawer span-panel" aria-label={tt.span.title}>
      <header>
        <h2>{tt.span.title}</h2>
        <span className="spacer" />
        <button type="button" className="icon" aria-label={tt.span.previous} title={`${tt.span.previous} (k)`} onClick={() => onStep(-1)}><UpIcon /></button>
        <button type="button" className="icon" aria-label={tt.span.next} title={`${tt.span.next} (j)`} onClick={() => onStep(1)}><DownIcon /></button>
        <button type="button" className="icon" aria-label={tt.span.close} title={`${tt.span.close} (Esc)`} onClick={onClose}><CloseIcon /></button>
      </header>
      {at === undefined ? <p className="drawer-note">{tt.span.notHere}</p> : (
        <div className="drawer-body">
          <Facts {...props} at={at} hit={found.data} />
          {found.error ? <p className="drawer-note" role="alert">{found.error.message}</p> : found.data ? <Details key={spanId} hit={found.data} trace={trace} at={at} /> : <p className="drawer-note">{tt.logs.loading}</p>}
        </div>
      )}
    </aside>
  )
}

function Facts({ trace, at, spanId, colours, zone, path, go, onGoTo, onZoom, hit }: Props & { at: number; hit: Hit | undefined }) {
  const service = trace.services[trace.service[at]!]!
  const parent = trace.parent[at]!
  const onPath = path?.bySpan.get(at)?.reduce((sum, { from, to }) => sum + to - from, 0)
  const mark = marksOf(trace, at)
  const status = STATUSES[trace.status[at]!] ?? ''
  const share = (part: number) => tt.span.share(percent(part, trace.duration))
  const rows: [string, ReactNode][] = [
    [tt.span.start, <>{formatTime(trace.startNs + BigInt(Math.round(trace.start[at]!)), zone, 6)} <span className="faint">{tt.span.after(formatDuration(trace.start[at]!))}</span></>],
    [tt.span.duration, <>{formatDuration(trace.length[at]!)} <span className="faint">{share(trace.length[at]!)}</span></>],
    [tt.span.self, formatDuration(selfTime(trace, at))],
    ...(onPath === undefined ? [] : [[tt.span.critical, <>{formatDuration(onPath)} <span className="faint">{share(onPath)}</span></>] as [string, ReactNode]]),
    [tt.span.kind, KINDS[trace.kind[at]!] ?? String(trace.kind[at])],
    [tt.span.status, <><span className={trace.status[at] === STATUS_ERROR ? 'bad' : ''}>{status}</span>{hit?.status_message && <span className="bad"> {hit.status_message}</span>}</>],
    [tt.span.id, <span className="mono">{spanId}</span>],
    [tt.span.parent, parent >= 0 ? <button type="button" className="link" onClick={() => onGoTo(parent)}>{trace.services[trace.service[parent]!]} {trace.operations[trace.operation[parent]!]}</button> : hit?.parent_id ? <span className="mono warn">{hit.parent_id}</span> : tt.span.none],
  ]
  return (
    <>
      <h3 className="span-heading" data-testid="span-heading"><i className="dot" style={{ background: colourValue(colours.get(service)) }} /><b>{service}</b> {trace.operations[trace.operation[at]!]}</h3>
      {mark && <p className="warn">{mark.sign} {mark.text}</p>}
      <dl className="span-facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <div className="drawer-actions">
        <button type="button" className="button small" title={`${tt.span.zoom} (z)`} onClick={() => onZoom(at)}>{tt.span.zoom}</button>
        <button type="button" className="button small" onClick={() => go({ tab: 'logs', only: 'span', span: spanId })}>{tt.span.logs}</button>
        <CopyButton label={tt.trace.copyLink} icon={<LinkIcon />} text={() => `${location.origin}/traces/${trace.id}?span=${spanId}`} />
      </div>
    </>
  )
}

function Details({ hit, trace, at }: { hit: Hit; trace: Trace; at: number }) {
  const { resource, scope, ...own } = (hit.attributes ?? {}) as Record<string, unknown>
  const started = trace.startNs + BigInt(Math.round(trace.start[at]!))
  const json = `/api/v1/traces/${trace.id}/spans/${trace.ids[at]}`
  // This very trace must be among those that are found.
  const around = absolute(trace.startNs - AROUND_NS, trace.startNs + BigInt(Math.round(trace.duration)) + AROUND_NS)
  return (
    <>
      <Section title={tt.span.attributes} fields={flattened(own)} around={around} whole={json} />
      <Items title={tt.span.events} items={hit.events ?? []} cut={hit.events_cut} whole={json}>
        {(events) => <ol className="span-events">{events.map((event, index) => <EventView key={index} event={event} started={started} />)}</ol>}
      </Items>
      <Items title={tt.span.links} items={hit.links ?? []} cut={hit.links_cut} whole={json}>
        {(links) => (
          <ul className="span-links">
            {links.map((link, index) => (
              <li key={index}>
                <Link to="/traces/$id" params={{ id: link.trace_id }} search={{ span: link.span_id }} className="mono" aria-label={tt.span.linkTo(link.trace_id)}>{link.trace_id.slice(0, 12)}… / {link.span_id}</Link>
                <Plain fields={flattened(link.attributes ?? {})} />
              </li>
            ))}
          </ul>
        )}
      </Items>
      <Section title={tt.span.resource} fields={flattened(resource)} around={around} prefix="resource." whole={json} />
      <Section title={tt.span.scope} fields={flattened(scope)} around={around} prefix="scope." whole={json} />
    </>
  )
}

function Section({ title, fields, around, prefix = '', whole }: { title: string; fields: FieldValue[]; around: TimeRange; prefix?: string; whole: string }) {
  return (
    <Items title={title} items={fields} limits={FIELDS} whole={whole}>
      {(some) => (
        <dl className="fields">
          {some.map((field) => (
            <div key={field.name} className="field">
              <dt><Breakable name={field.name} /></dt>
              <dd className="field-value">
                {field.filter
                  ? <Link to="/traces" search={{ q: queryFor(prefix + field.name, field.text), ...around }} className="value-link" title={tt.span.search(field.name)}>{field.text === '' ? '""' : field.text}</Link>
                  : field.text}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Items>
  )
}

interface ItemsProps<T> {
  title: string
  items: T[]
  /** How many the answer itself leaves out. */
  cut?: number | undefined
  limits?: Limits
  /** Where all of them are. */
  whole: string
  children: (items: T[]) => ReactNode
}

/** A few of them, more when asked, and how many are too many for the page. */
function Items<T>({ title, items, cut = 0, limits = EVENTS, whole, children }: ItemsProps<T>) {
  const [more, setMore] = useState(false)
  const { shown, rest, lost } = shownOf(items.length, cut, limits, more)
  if (items.length + cut === 0) return null
  return (
    <section className="span-section" aria-label={title}>
      <h3>{title}</h3>
      {children(items.slice(0, shown))}
      {rest > 0 && <button type="button" className="link" onClick={() => setMore(true)}>{shown + rest < items.length ? tt.span.first(shown + rest) : tt.span.all(items.length)}</button>}
      {lost > 0 && <p className="drawer-note">{tt.span.lost(lost)} <a href={whole} target="_blank" rel="noopener">{tt.span.json}</a></p>}
    </section>
  )
}

const MULTILINE = /\n/

function EventView({ event, started }: { event: SpanEvent; started: bigint }) {
  const fields = flattened(event.attributes ?? {})
  const after = event.timestamp === undefined ? undefined : Number(fromRfc3339(event.timestamp) - started)
  return (
    <li className={event.name === 'exception' ? 'failed' : ''}>
      <p><b>{event.name}</b> {after !== undefined && <span className="faint">+{formatDuration(after)}</span>}</p>
      <Plain fields={fields.filter((field) => !MULTILINE.test(field.text))} />
      {fields.filter((field) => MULTILINE.test(field.text)).map((field) => <pre key={field.name} tabIndex={0} aria-label={field.name}>{field.text}</pre>)}
    </li>
  )
}

const Plain = ({ fields }: { fields: FieldValue[] }) =>
  fields.length === 0 ? null : (
    <dl className="plain-fields">{fields.map((field) => <Fragment key={field.name}><dt>{field.name}</dt><dd>{field.text}</dd></Fragment>)}</dl>
  )
