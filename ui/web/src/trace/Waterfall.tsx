/**
 * Spans as rows: the tree at the left, their time at the right.
 *
 * Only the rows on screen are in the document, and a row is a handful of elements whatever its span is.
 */
import { memo, useEffect, useLayoutEffect, useRef, useState, type CSSProperties, type MouseEvent as ReactMouseEvent, type RefObject } from 'react'
import { formatShort } from '../i18n'
import { tt } from '../i18n/tracing'
import { useWindow } from '../rows/useWindow'
import { colourValue } from '../traces/colours'
import { formatDuration, formatTick } from '../traces/duration'
import { pan, ticks, zoom, type View } from './axis'
import { barOf, gradientOf, type Bar } from './bar'
import type { CriticalPath } from './critical'
import { Divider, useNames } from './Divider'
import { EARLY, LOOP, ORPHAN, STATUS_ERROR, type Trace } from './tree'
import { positionOf } from './visible'

const ROW_HEIGHT = 26
const INDENT = 12
/** Deeper spans are no further right, or a deep trace would leave no room for names; they say their depth. */
const INDENT_MAX = 18

interface Props {
  trace: Trace
  colours: Map<string, number>
  shown: Int32Array
  collapsed: Uint8Array
  view: View
  active: number
  chosen: number | undefined
  matches: Int32Array
  path: CriticalPath | undefined
  onChoose: (at: number) => void
  onFold: (at: number, folded: boolean, whole?: boolean) => void
  onView: (view: View) => void
}

export function Waterfall({ trace, colours, shown, collapsed, view, active, chosen, matches, path, onChoose, onFold, onView }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const [names, setNames] = useNames()
  const { first, last, show } = useWindow(scroller, shown.length, ROW_HEIGHT, 3)
  const { position, found } = positionOf(shown, active)
  useEffect(() => {
    if (found) show(position)
    // Only when another span becomes active, or this one comes out of a fold.
  }, [active, found])
  useWheel(scroller, view, trace.duration, onView)
  const pool = 2 ** Math.ceil(Math.log2(Math.max(1, last - first)))
  const items = Array.from(shown.subarray(first, last))
  return (
    <div className={path ? 'waterfall with-path' : 'waterfall'} style={names === undefined ? undefined : ({ '--names': `${names}%` } as CSSProperties)}>
      <Axis view={view} duration={trace.duration} onView={onView} />
      <Divider share={names} onShare={setNames} />
      <div ref={scroller} className="waterfall-scroll" tabIndex={0} role="tree" aria-label={tt.trace.tree} data-testid="waterfall" aria-activedescendant={found && position >= first && position < last ? `span-${active}` : undefined}>
        <div className="rows-space" style={{ height: shown.length * ROW_HEIGHT }} role="presentation">
          {items.map((at, offset) => (
            <SpanRow
              // A row that leaves the screen becomes the one that comes in: elements are changed, not made.
              key={(first + offset) % pool}
              trace={trace}
              at={at}
              top={(first + offset) * ROW_HEIGHT}
              colour={colours.get(trace.services[trace.service[at]!]!)}
              folded={collapsed[at] === 1}
              view={view}
              active={at === active}
              chosen={at === chosen}
              match={positionOf(matches, at).found}
              stretches={path && (path.bySpan.get(at) ?? NONE)}
              onChoose={onChoose}
              onFold={onFold}
            />
          ))}
        </div>
      </div>
    </div>
  )
}

const NONE: { from: number; to: number }[] = []

interface RowProps {
  trace: Trace
  at: number
  top: number
  colour: number | undefined
  folded: boolean
  view: View
  active: boolean
  chosen: boolean
  match: boolean
  /** Undefined where no critical path is shown, empty where the span is not on it. */
  stretches: { from: number; to: number }[] | undefined
  onChoose: (at: number) => void
  onFold: (at: number, folded: boolean, whole?: boolean) => void
}

const SpanRow = memo(function SpanRow({ trace, at, top, colour, folded, view, active, chosen, match, stretches, onChoose, onFold }: RowProps) {
  const depth = trace.depth[at]!
  const indent = Math.min(depth, INDENT_MAX) * INDENT
  const leaf = trace.size[at] === 1
  const failed = trace.status[at] === STATUS_ERROR
  const bar = barOf(trace.start[at]!, trace.length[at]!, view)
  const paint = colourValue(colour)
  const marks = marksOf(trace, at)
  const toggle = (event: ReactMouseEvent) => {
    event.stopPropagation()
    onFold(at, !folded, event.shiftKey || event.altKey)
  }
  const classes = ['span-row', active && 'active', chosen && 'selected', failed && 'failed', match && 'match', stretches && (stretches.length > 0 ? 'on-path' : 'off-path')]
  return (
    <div
      id={`span-${at}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={chosen}
      aria-expanded={leaf ? undefined : !folded}
      data-testid="span-row"
      data-span={trace.ids[at]}
      className={classes.filter(Boolean).join(' ')}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => {
        if (getSelection()?.isCollapsed ?? true) onChoose(at)
      }}
      onDoubleClick={() => !leaf && onFold(at, !folded)}
    >
      <div className="span-name" style={{ paddingLeft: indent + 22, backgroundSize: `${indent + 8}px 100%` }}>
        {!leaf && <i className={folded ? 'twist folded' : 'twist'} data-testid="twist" style={{ left: indent + 5 }} title={tt.trace.foldHint} aria-hidden="true" onClick={toggle} />}
        <span className="span-title" style={{ '--dot': paint } as CSSProperties}>
          {depth > INDENT_MAX && <em>{depth}</em>}
          {failed && <b className="bad" aria-label={tt.trace.errors}>!</b>}
          {marks && <b className="warn" title={marks.text}>{marks.sign}</b>}
          <b>{trace.services[trace.service[at]!]}</b> {trace.operations[trace.operation[at]!]}
        </span>
        {folded && <span className={trace.errors[at]! > (failed ? 1 : 0) ? 'span-below bad' : 'span-below'} title={tt.trace.below(trace.size[at]! - 1)}>+{formatShort(trace.size[at]! - 1)}</span>}
      </div>
      <div className="span-track">
        {bar.seen && <i className="span-bar" style={{ left: `${bar.left}%`, width: `${bar.width}%`, background: paint, ...(stretches && stretches.length > 0 ? { '--path': gradientOf(stretches, trace.start[at]!, trace.length[at]!, view) } : {}) } as CSSProperties} />}
        <span className={`span-time ${bar.label}`} style={placeOf(bar)}>{bar.label === 'left' ? '‹ ' : ''}{formatDuration(trace.length[at]!)}{bar.label === 'right' ? ' ›' : ''}</span>
      </div>
    </div>
  )
})

function placeOf(bar: Bar): CSSProperties {
  if (bar.label === 'before') return { right: `${100 - bar.left}%` }
  if (bar.label === 'right') return { right: 0 }
  return { left: `${bar.label === 'after' ? bar.left + bar.width : bar.label === 'left' ? 0 : Math.max(0, bar.left)}%` }
}

export function marksOf(trace: Trace, at: number): { sign: string; text: string } | undefined {
  const flags = trace.flags[at]!
  if (flags & ORPHAN) return { sign: '⚠', text: tt.trace.orphan }
  if (flags & LOOP) return { sign: '⚠', text: tt.trace.loop }
  if (flags & EARLY) return { sign: '⇤', text: tt.trace.earlyBy(formatDuration(trace.start[trace.parent[at]!]! - trace.start[at]!)) }
  return undefined
}

/** The time axis. Dragging over it comes closer, a double click goes back to the whole. */
function Axis({ view, duration, onView }: { view: View; duration: number; onView: (view: View) => void }) {
  const track = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(800)
  const [drag, setDrag] = useState<{ from: number; to: number }>()
  useLayoutEffect(() => {
    const element = track.current
    if (!element) return
    const observer = new ResizeObserver(() => setWidth(element.clientWidth))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const share = (x: number): number => {
    const box = track.current!.getBoundingClientRect()
    return Math.min(1, Math.max(0, (x - box.left) / Math.max(1, box.width)))
  }
  const marks = ticks(view, Math.max(1, Math.floor(width / 100)))
  const time = (part: number) => view.from + part * (view.to - view.from)
  return (
    <div className="waterfall-head" aria-hidden="true">
      <span className="span-name">{tt.trace.colSpan}</span>
      <div
        ref={track}
        className="span-track"
        data-testid="time-axis"
        onPointerDown={(event) => {
          if (event.button !== 0) return
          event.currentTarget.setPointerCapture(event.pointerId)
          setDrag({ from: share(event.clientX), to: share(event.clientX) })
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: share(event.clientX) })}
        onPointerUp={() => {
          if (drag && Math.abs(drag.to - drag.from) * width > 4) onView(zoom({ from: time(Math.min(drag.from, drag.to)), to: time(Math.max(drag.from, drag.to)) }, 1, 0, duration))
          setDrag(undefined)
        }}
        onPointerCancel={() => setDrag(undefined)}
        onDoubleClick={() => onView({ from: 0, to: Math.max(1, duration) })}
      >
        {marks.map((at) => {
          const left = (100 * (at - view.from)) / (view.to - view.from)
          return left > 96 ? null : <span key={at} className="tick" style={{ left: `${left}%` }}>{formatTick(at, marks.length > 1 ? marks[1]! - marks[0]! : view.to - view.from)}</span>
        })}
        {drag && <i className="axis-drag" style={{ left: `${100 * Math.min(drag.from, drag.to)}%`, width: `${100 * Math.abs(drag.to - drag.from)}%` }} />}
      </div>
    </div>
  )
}

/** Ctrl and wheel comes closer to where the pointer is; a sideways wheel moves. */
function useWheel(scroller: RefObject<HTMLDivElement | null>, view: View, duration: number, onView: (view: View) => void): void {
  const now = useRef({ view, duration, onView })
  useLayoutEffect(() => {
    now.current = { view, duration, onView }
  })
  useEffect(() => {
    const element = scroller.current
    if (!element) return
    const turn = (event: WheelEvent) => {
      const { view, duration, onView } = now.current
      const width = view.to - view.from
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault()
        const track = element.querySelector('.span-track')?.getBoundingClientRect()
        if (!track) return
        const around = view.from + width * Math.min(1, Math.max(0, (event.clientX - track.left) / track.width))
        onView(zoom(view, Math.exp(event.deltaY / 300), around, duration))
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault()
        onView(pan(view, ((event.deltaX || event.deltaY) / 800) * width, duration))
      }
    }
    // React's own listener is passive and could not keep the page from zooming.
    element.addEventListener('wheel', turn, { passive: false })
    return () => element.removeEventListener('wheel', turn)
  }, [scroller])
}
