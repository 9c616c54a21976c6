/** The traces found, newest first: what began them, how long they took, who took part. */
import { memo, useEffect, useMemo, useRef, type MouseEvent } from 'react'
import type { TraceSummary } from '../api/tracing'
import { formatCount } from '../i18n'
import { tt } from '../i18n/tracing'
import { useWindow } from '../rows/useWindow'
import { WarnIcon } from '../shell/icons'
import { useKeys } from '../shell/keys'
import { fromRfc3339 } from '../time/instant'
import type { Bounds } from '../time/range'
import { formatTime, type Zone } from '../time/zone'
import { colourValue, coloursOf } from './colours'
import { formatDuration } from './duration'

const ROW_HEIGHT = 52
const CHIPS = 6

interface Props {
  traces: TraceSummary[]
  zone: Zone
  bounds: Bounds | undefined
  active: string | undefined
  onActive: (id: string) => void
  onOpen: (id: string, elsewhere?: boolean) => void
}

export function TraceList({ traces, zone, bounds, active, onActive, onOpen }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const { first, last, show } = useWindow(scroller, traces.length, ROW_HEIGHT, 2)
  const colours = useMemo(() => coloursOf(traces.flatMap((trace) => trace.services.map((service) => service.name))), [traces])
  const longest = useMemo(() => traces.reduce((most, trace) => Math.max(most, trace.duration_ns), 1), [traces])
  const at = traces.findIndex((trace) => trace.trace_id === active)
  useEffect(() => {
    if (at >= 0) show(at)
    // Only when another one becomes active.
  }, [active])
  const step = (to: number) => {
    const trace = traces[Math.max(0, Math.min(traces.length - 1, to))]
    if (trace) onActive(trace.trace_id)
  }
  const failing = (direction: 1 | -1) => {
    for (let index = at + direction; index >= 0 && index < traces.length; index += direction) if (traces[index]!.errors > 0) return step(index)
  }
  useKeys({
    j: () => step(at + 1),
    k: () => step(at < 0 ? traces.length - 1 : at - 1),
    ArrowDown: () => step(at + 1),
    ArrowUp: () => step(at < 0 ? traces.length - 1 : at - 1),
    e: () => failing(1),
    E: () => failing(-1),
    Enter: () => {
      if (at >= 0) onOpen(traces[at]!.trace_id)
    },
  })
  const short = bounds?.from !== undefined && bounds.to !== undefined && formatTime(bounds.from, zone, 0).slice(0, 10) === formatTime(bounds.to, zone, 0).slice(0, 10)
  return (
    <div className="trace-list" ref={scroller} tabIndex={0} role="listbox" aria-label={tt.list.rows} aria-activedescendant={at >= first && at < last ? `trace-${at}` : undefined}>
      <div className="rows-space" style={{ height: traces.length * ROW_HEIGHT }} role="presentation">
        {traces.slice(first, last).map((trace, offset) => (
          <TraceRow
            key={trace.trace_id}
            trace={trace}
            index={first + offset}
            count={traces.length}
            longest={longest}
            colours={colours}
            time={formatTime(fromRfc3339(trace.start), zone).slice(short ? 11 : 0)}
            active={first + offset === at}
            onOpen={onOpen}
          />
        ))}
      </div>
    </div>
  )
}

interface RowProps {
  trace: TraceSummary
  index: number
  count: number
  longest: number
  colours: Map<string, number>
  time: string
  active: boolean
  onOpen: (id: string, elsewhere?: boolean) => void
}

const TraceRow = memo(function TraceRow({ trace, index, count, longest, colours, time, active, onOpen }: RowProps) {
  const open = (event: MouseEvent) => {
    if (event.button === 1 || event.ctrlKey || event.metaKey) onOpen(trace.trace_id, true)
    // Somebody who selects text to copy it does not ask for the trace.
    else if (event.button === 0 && (getSelection()?.isCollapsed ?? true)) onOpen(trace.trace_id)
  }
  const more = trace.services.length - CHIPS
  return (
    <div
      id={`trace-${index}`}
      role="option"
      aria-selected={active}
      aria-setsize={count}
      aria-posinset={index + 1}
      data-testid="trace-row"
      data-trace={trace.trace_id}
      className={`trace-row${active ? ' active' : ''}${trace.errors > 0 ? ' failed' : ''}`}
      style={{ transform: `translateY(${index * ROW_HEIGHT}px)`, height: ROW_HEIGHT }}
      onClick={open}
      onAuxClick={open}
    >
      <span className="trace-name">
        {trace.root ? (
          <><i className="dot" style={{ background: colourValue(colours.get(trace.root.service)) }} /><b>{trace.root.service}</b> {trace.root.operation}</>
        ) : (
          <span className="warn"><WarnIcon /> {tt.list.noRoot}</span>
        )}
      </span>
      <span className="trace-facts">
        <time dateTime={trace.start}>{time}</time>
        <span>{tt.spans(trace.spans)}</span>
        {trace.errors > 0 && <b className="bad">{tt.errors(trace.errors)}</b>}
      </span>
      <span className="trace-services">
        {trace.services.slice(0, CHIPS).map((service) => (
          <span key={service.name} className={service.errors > 0 ? 'service-chip failed' : 'service-chip'} title={tt.list.chip(service.name, service.spans, service.errors)}>
            <i className="dot" style={{ background: colourValue(colours.get(service.name)) }} />{service.name} <em>{formatCount(service.spans)}</em>
          </span>
        ))}
        {more > 0 && <span className="service-chip">{tt.list.more(more)}</span>}
      </span>
      <span className="trace-length"><i style={{ width: `${Math.max(0.5, (100 * trace.duration_ns) / longest)}%` }} /></span>
      <span className="trace-duration">{formatDuration(trace.duration_ns)}</span>
    </div>
  )
})
