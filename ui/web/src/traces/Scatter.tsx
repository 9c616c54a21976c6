/** Each trace as a point: when it began, how long it took. Click opens, drag selects a time range. */
import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { TraceSummary } from '../api/tracing'
import { tt } from '../i18n/tracing'
import { axisTexts } from '../search/Histogram'
import { resolvedColour, useScheme } from '../shell/theme'
import { fromMillis, fromRfc3339, toMillis, type Nanos } from '../time/instant'
import type { Bounds } from '../time/range'
import { formatTime, ianaName, type Zone } from '../time/zone'
import { formatDuration } from './duration'
import { decades, nearest, type Point } from './points'

const HEIGHT = 150
const REACH_PX = 12

interface Props {
  traces: TraceSummary[]
  bounds: Bounds | undefined
  zone: Zone
  active: string | undefined
  onOpen: (id: string) => void
  onRange: (from: Nanos, to: Nanos) => void
}

export function Scatter({ traces, bounds, zone, active, onOpen, onRange }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot>(null)
  const scheme = useScheme()
  const [pointed, setPointed] = useState<TraceSummary>()
  const act = useRef({ onOpen, onRange, active })
  useEffect(() => {
    act.current = { onOpen, onRange, active }
    chart.current?.redraw(false)
  })

  useEffect(() => {
    const element = place.current
    if (!element || traces.length === 0) return
    const drawn = draw(element, traces, bounds, zone, {
      onOpen: (trace) => act.current.onOpen(trace.trace_id),
      onRange: (from, to) => act.current.onRange(from, to),
      onPoint: setPointed,
      isActive: (trace) => trace.trace_id === act.current.active,
    })
    chart.current = drawn
    const observer = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      drawn.destroy()
      chart.current = null
    }
  }, [traces, bounds, zone, scheme])

  return (
    <section className="scatter" data-testid="scatter">
      <div ref={place} className={pointed ? 'scatter-chart pointed' : 'scatter-chart'} role="img" aria-label={tt.list.scatter(traces.length)} />
      <div className="legend" aria-hidden="true">
        <span className="key ok"><i />{tt.list.ok}</span>
        <span className="key failed"><i />{tt.list.failed}</span>
        <span className="spacer" />
        <span className="faint">
          {pointed ? `${formatTime(fromRfc3339(pointed.start), zone)} · ${pointed.root ? `${pointed.root.service} ${pointed.root.operation}` : tt.list.noRoot} · ${formatDuration(pointed.duration_ns)} · ${tt.spans(pointed.spans)}` : tt.list.scatterHint}
        </span>
      </div>
    </section>
  )
}

interface Actions {
  onOpen: (trace: TraceSummary) => void
  onRange: (from: Nanos, to: Nanos) => void
  onPoint: (trace: TraceSummary | undefined) => void
  isActive: (trace: TraceSummary) => boolean
}

function draw(element: HTMLElement, traces: TraceSummary[], bounds: Bounds | undefined, zone: Zone, actions: Actions): uPlot {
  const seconds = (time: Nanos) => toMillis(time) / 1000
  const sorted = traces.map((trace) => ({ trace, x: seconds(fromRfc3339(trace.start)), y: Math.max(1000, trace.duration_ns) })).sort((a, b) => a.x - b.x)
  const [left, right] = [sorted[0]!.x, sorted.at(-1)!.x]
  const low = bounds?.from === undefined ? left - 1 : seconds(bounds.from)
  const high = bounds?.to === undefined ? right + 1 : seconds(bounds.to)
  const span = decades(sorted.map((point) => point.y))
  const colour = (name: string) => resolvedColour(element, name)
  const [fine, failed, ring, faint, grid] = [colour('--accent'), colour('--bad'), colour('--text'), colour('--text-faint'), colour('--line-soft')]
  const font = '11px Inter, system-ui, sans-serif'
  /** Where each point is, in CSS pixels of the plot. */
  let points: Point[] = []
  let hovered = -1
  const place = (self: uPlot) => {
    points = sorted.map(({ x, y }) => ({ x: self.valToPos(x, 'x'), y: self.valToPos(y, 'y') }))
  }
  const paint = (self: uPlot) => {
    place(self)
    const { ctx } = self
    const ratio = uPlot.pxRatio
    ctx.save()
    ctx.translate(self.bbox.left, self.bbox.top)
    ctx.scale(ratio, ratio)
    // Failed ones last, so that none hides behind the others.
    for (const wanted of [false, true]) {
      for (const [index, { trace }] of sorted.entries()) {
        if (trace.errors > 0 !== wanted) continue
        const { x, y } = points[index]!
        const size = 3 + Math.min(4, Math.log10(Math.max(1, trace.spans)))
        ctx.beginPath()
        // Another shape too, not only another colour.
        if (wanted) ctx.roundRect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6, 1)
        else ctx.arc(x, y, size * 0.85, 0, 2 * Math.PI)
        ctx.globalAlpha = 0.55
        ctx.fillStyle = wanted ? failed : fine
        ctx.fill()
        ctx.globalAlpha = 1
        const marked = index === hovered || actions.isActive(trace)
        ctx.lineWidth = marked ? 2 : 1
        ctx.strokeStyle = marked ? ring : wanted ? failed : fine
        ctx.stroke()
      }
    }
    ctx.restore()
  }
  const at = (self: uPlot) => nearest(points, self.cursor.left ?? -1, self.cursor.top ?? -1, REACH_PX)
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [10, 10, 0, 0],
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), ianaName(zone)),
      legend: { show: false },
      cursor: { y: false, x: true, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 }, bind: { dblclick: () => () => null } },
      scales: { x: { time: true, range: () => [low, high] }, y: { distr: 3, range: () => span } },
      axes: [
        { stroke: faint, font, size: 24, gap: 4, grid: { show: false }, ticks: { show: false }, values: axisTexts() },
        { stroke: faint, font, size: 62, gap: 6, grid: { stroke: grid, width: 1 }, ticks: { show: false }, splits: () => ticksOf(span), filter: (_, splits) => splits, values: (_, values) => values.map(formatDuration) },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        draw: [paint],
        setCursor: [
          (self) => {
            const found = at(self)
            if (found === hovered) return
            hovered = found
            actions.onPoint(sorted[found]?.trace)
            self.redraw(false)
          },
        ],
        setSelect: [
          (self) => {
            if (self.select.width < 2) return
            const from = self.posToVal(self.select.left, 'x') * 1000
            const to = self.posToVal(self.select.left + self.select.width, 'x') * 1000
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            actions.onRange(fromMillis(from), fromMillis(Math.max(to, from + 1)))
          },
        ],
        ready: [
          (self) => {
            self.over.addEventListener('click', () => {
              const found = sorted[at(self)]
              if (found) actions.onOpen(found.trace)
            })
          },
        ],
      },
    },
    [sorted.map((point) => point.x), sorted.map((point) => point.y)],
    element,
  )
}

/** Round durations, at most about five: each decade, or each second one. */
function ticksOf([low, high]: [number, number]): number[] {
  const from = Math.round(Math.log10(low))
  const to = Math.round(Math.log10(high))
  const step = Math.max(1, Math.ceil((to - from) / 4))
  const found: number[] = []
  for (let power = from; power <= to; power += step) found.push(10 ** power)
  return found
}
