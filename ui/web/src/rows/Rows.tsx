/**
 * The list of lines, the same one for search and live tail.
 *
 * Only what is on screen is in the document. A row's height is known before it is drawn (one line,
 * or computed from its text when wrapped), so nothing moves under the reader's eyes.
 */
import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useEffect, useLayoutEffect, useMemo, useState, type ReactNode, type RefObject } from 'react'
import type { Hit } from '../api/types'
import { t } from '../i18n'
import { fromRfc3339 } from '../time/instant'
import { formatTime, type Zone } from '../time/zone'
import { columnText } from './fields'
import { levelOf } from './level'
import { wrappedLines } from './wrap'

/** A line, or a mark between lines: a gap in a live tail, a change of its query. */
export type Row = { kind: 'hit'; hit: Hit } | { kind: 'mark'; id: string; text: string; tone: 'plain' | 'warn' }

export const rowId = (row: Row): string => (row.kind === 'hit' ? row.hit.id : row.id)

const LINE_HEIGHT = 20
const ROW_PADDING = 4

interface Props {
  rows: Row[]
  columns: string[]
  zone: Zone
  wrap: boolean
  label: string
  active: string | undefined
  selected: string | undefined
  onActivate: (row: Row) => void
  onOpen: (hit: Hit) => void
  scroller: RefObject<HTMLDivElement | null>
  /** Called when the last row comes near. */
  onEnd?: (() => void) | undefined
  footer?: ReactNode
  /** All rows are of one day, so the time of day says it all. */
  shortTime?: boolean
  /** Called for the mark of a line that belongs to a trace. */
  onTrace?: ((hit: Hit) => void) | undefined
  /** Keep the end in view while rows arrive. */
  follow?: boolean
}

/** The shape of a row as CSS grid columns; one place, used by head and rows. */
const template = (columns: string[]): string => ['var(--time-width) 40px', ...columns.map(() => 'minmax(40px, var(--column-width))'), 'minmax(0, 1fr)'].join(' ')

export function Rows(props: Props) {
  const { rows, columns, wrap, scroller, active, follow, onEnd } = props
  const charsWide = useTextColumns(scroller, columns.length)
  const heights = (index: number): number => {
    const row = rows[index]
    if (!wrap || row?.kind !== 'hit') return LINE_HEIGHT + ROW_PADDING
    return wrappedLines(row.hit.raw, charsWide) * LINE_HEIGHT + ROW_PADDING
  }
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: heights,
    getItemKey: (index) => rowId(rows[index]!),
    overscan: 12,
    // React batches these; flushing in the middle of a scroll costs frames.
    useFlushSync: false,
  })

  useLayoutEffect(() => virtual.measure(), [virtual, wrap, charsWide])

  const activeIndex = useMemo(() => (active === undefined ? -1 : rows.findIndex((row) => rowId(row) === active)), [rows, active])
  useEffect(() => {
    if (activeIndex >= 0 && !follow) virtual.scrollToIndex(activeIndex, { align: 'auto' })
    // Only when another row becomes active; not when rows arrive around it.
  }, [active])

  useLayoutEffect(() => {
    const element = scroller.current
    if (follow && element) element.scrollTop = element.scrollHeight
  }, [follow, rows, scroller])

  const items = virtual.getVirtualItems()
  const lastShown = items.at(-1)?.index ?? -1
  useEffect(() => {
    if (lastShown >= rows.length - 20 && rows.length > 0) onEnd?.()
  }, [lastShown, rows.length, onEnd])

  const grid = template(columns)
  return (
    <div className={props.shortTime ? 'rows short' : 'rows'}>
      <div className="rows-head" style={{ gridTemplateColumns: grid }} aria-hidden="true">
        <span>time</span>
        <span>level</span>
        {columns.map((name) => (
          <span key={name} title={name}>{name}</span>
        ))}
        <span>line</span>
      </div>
      <div
        className={wrap ? 'rows-scroll wrapped' : 'rows-scroll'}
        ref={scroller}
        tabIndex={0}
        role="listbox"
        aria-label={props.label}
        aria-activedescendant={activeIndex >= 0 && items.some((item) => item.index === activeIndex) ? `row-${activeIndex}` : undefined}
      >
        <div className="rows-space" style={{ height: virtual.getTotalSize() }} role="presentation">
          {items.map((item) => {
            const row = rows[item.index]!
            return (
              <RowView
                key={item.key}
                row={row}
                index={item.index}
                count={rows.length}
                top={item.start}
                height={item.size}
                grid={grid}
                columns={columns}
                zone={props.zone}
                shortTime={props.shortTime ?? false}
                active={item.index === activeIndex}
                selected={props.selected !== undefined && rowId(row) === props.selected}
                onActivate={props.onActivate}
                onOpen={props.onOpen}
                onTrace={props.onTrace}
              />
            )
          })}
        </div>
        {props.footer}
      </div>
    </div>
  )
}

interface RowProps {
  row: Row
  index: number
  count: number
  top: number
  height: number
  grid: string
  columns: string[]
  zone: Zone
  shortTime: boolean
  active: boolean
  selected: boolean
  onActivate: (row: Row) => void
  onOpen: (hit: Hit) => void
  onTrace: ((hit: Hit) => void) | undefined
}

const RowView = memo(function RowView({ row, index, count, top, height, grid, columns, zone, shortTime, active, selected, onActivate, onOpen, onTrace }: RowProps) {
  const place = { transform: `translateY(${top}px)`, height }
  const common = { id: `row-${index}`, role: 'option', 'aria-setsize': count, 'aria-posinset': index + 1 } as const
  if (row.kind === 'mark') {
    return (
      <div {...common} aria-selected={false} className={`row row-mark ${row.tone}`} style={place}>
        {row.text}
      </div>
    )
  }
  const { hit } = row
  const level = levelOf(hit.level)
  const open = () => {
    onActivate(row)
    // Somebody who selects text to copy it does not ask for the details.
    if (!getSelection() || getSelection()!.isCollapsed) onOpen(hit)
  }
  return (
    <div
      {...common}
      data-testid="log-row"
      aria-selected={selected}
      className={`row level-${level}${active ? ' active' : ''}${selected ? ' selected' : ''}`}
      style={{ ...place, gridTemplateColumns: grid }}
      onClick={open}
    >
      <time dateTime={hit.timestamp}>{formatTime(fromRfc3339(hit.timestamp), zone).slice(shortTime ? 11 : 0)}</time>
      <span className="level">{level === 'none' ? '' : level}</span>
      {columns.map((name) => (
        <span key={name} className="cell">{columnText(hit, name)}</span>
      ))}
      <span className="line">{hit.raw === '' ? ' ' : hit.raw}</span>
      {onTrace && hit.trace_id && (
        // For the mouse only: an option holds no links for others. By keyboard it is `v`, or the details.
        <i
          className="row-trace"
          data-testid="row-trace"
          aria-hidden="true"
          title={`${t.drawer.openTrace} (v)`}
          onClick={(event) => {
            event.stopPropagation()
            onTrace(hit)
          }}
        />
      )}
    </div>
  )
})

/** How many monospace characters the line column holds. */
function useTextColumns(scroller: RefObject<HTMLDivElement | null>, columns: number): number {
  const [chars, setChars] = useState(120)
  useLayoutEffect(() => {
    const element = scroller.current
    if (!element) return
    const measure = () => {
      const probe = document.createElement('span')
      probe.className = 'mono-probe'
      probe.textContent = '0'.repeat(100)
      element.append(probe)
      const charWidth = probe.getBoundingClientRect().width / 100
      probe.remove()
      const line = element.querySelector<HTMLElement>('.row .line')
      const width = line?.clientWidth ?? element.clientWidth - 300 - columns * 130
      if (charWidth > 0 && width > 0) setChars(Math.max(10, Math.floor(width / charWidth)))
    }
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    // The face arrives after the first paint; its characters have another width.
    document.fonts.ready.then(measure).catch(() => undefined)
    return () => observer.disconnect()
  }, [scroller, columns])
  return chars
}
