/** One service over time: requests, share of errors, durations. Dragging in any of them selects a range. */
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { ServiceRow } from '../api/tracing'
import { tt } from '../i18n/tracing'
import { axisTexts } from '../search/Histogram'
import { resolvedColour, useScheme } from '../shell/theme'
import { fromMillis, type Nanos } from '../time/instant'
import { formatTime, ianaName, type Zone } from '../time/zone'
import { formatDuration } from '../traces/duration'
import { errorShares, lonely, ratesOf } from './chart'

const HEIGHT = 150

interface Line {
  name: string
  colour: string
  values: (number | null)[]
}

interface Props {
  row: ServiceRow
  stepNs: number
  zone: Zone
  onRange: (from: Nanos, to: Nanos) => void
}

export function ServiceCharts({ row, stepNs, zone, onRange }: Props) {
  const { series } = row
  const lines = useMemo(
    () => ({
      rate: [{ name: tt.services.rate, colour: '--accent', values: ratesOf(series, stepNs) }],
      errors: [{ name: tt.services.errors, colour: '--level-error', values: errorShares(series) }],
      durations: [
        { name: 'p99', colour: '--service-1', values: series.p99 },
        { name: 'p95', colour: '--service-3', values: series.p95 },
        { name: 'p50', colour: '--service-8', values: series.p50 },
      ],
    }),
    [series, stepNs],
  )
  const shared = { times: series.t, stepNs, zone, onRange }
  return (
    <div className="charts" data-testid="service-charts">
      <Chart {...shared} title={tt.services.rate} lines={lines.rate} format={tt.services.perSecond} />
      <Chart {...shared} title={tt.services.errorRate} lines={lines.errors} format={shareText} />
      <Chart {...shared} title={tt.services.latency} lines={lines.durations} format={formatDuration} />
    </div>
  )
}

const shareText = (value: number): string => `${Number(value.toPrecision(3))} %`

interface ChartProps {
  title: string
  times: number[]
  stepNs: number
  lines: Line[]
  zone: Zone
  format: (value: number) => string
  onRange: (from: Nanos, to: Nanos) => void
}

function Chart({ title, times, stepNs, lines, zone, format, onRange }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const scheme = useScheme()
  const [pointed, setPointed] = useState<number>()
  const select = useRef(onRange)
  useEffect(() => {
    select.current = onRange
  })
  useEffect(() => {
    const element = place.current
    if (!element || times.length === 0) return
    const chart = draw(element, times, stepNs, lines, zone, format, { onRange: (from, to) => select.current(from, to), onPoint: setPointed })
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [times, stepNs, lines, zone, format, scheme])
  return (
    <section className="chart" aria-label={title}>
      <h3>{title}<span className="spacer" />{pointed !== undefined && times[pointed] !== undefined && <span className="faint">{formatTime(fromMillis(times[pointed]), zone, 0).slice(11)}</span>}</h3>
      <div ref={place} className="chart-plot" role="img" aria-label={`${title} ${tt.services.overTime}`} />
      <p className="chart-legend">
        {lines.map((line) => {
          const value = pointed === undefined ? undefined : line.values[pointed]
          return <span key={line.name}><i style={{ background: `var(${line.colour})` }} />{line.name} {pointed !== undefined && <b>{value === null || value === undefined ? '–' : format(value)}</b>}</span>
        })}
      </p>
    </section>
  )
}

/** uPlot draws over the gaps and clips them, which leaves slivers of steep lines at their edges. */
const withGaps: uPlot.Series.PathBuilder = (chart, series, first, last) => {
  const [xs, ys] = [chart.data[0], chart.data[series]!]
  const stroke = new Path2D()
  for (let at = first; at <= last; at++) {
    const value = ys[at]
    if (value == null) continue
    const x = chart.valToPos(xs[at]!, 'x', true)
    const y = chart.valToPos(value, 'y', true)
    if (at > first && ys[at - 1] != null) stroke.lineTo(x, y)
    else stroke.moveTo(x, y)
  }
  return { stroke }
}

const lonelyOf = (chart: uPlot, at: number): number[] => lonely(chart.data[at]!)

interface Actions {
  onRange: (from: Nanos, to: Nanos) => void
  onPoint: (at: number | undefined) => void
}

function draw(element: HTMLElement, times: number[], stepNs: number, lines: Line[], zone: Zone, format: (value: number) => string, actions: Actions): uPlot {
  const colour = (name: string) => resolvedColour(element, name)
  const faint = colour('--text-faint')
  const font = '11px Inter, system-ui, sans-serif'
  const step = stepNs / 1e9
  const xs = times.map((at) => at / 1000)
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), ianaName(zone)),
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false, dist: 4 }, bind: { dblclick: () => () => null } },
      scales: { x: { time: true, range: () => [xs[0]!, xs.at(-1)! + step] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [
        { stroke: faint, font, size: 24, gap: 4, grid: { show: false }, ticks: { show: false }, values: axisTexts() },
        { stroke: faint, font, size: 58, gap: 6, grid: { stroke: colour('--line-soft'), width: 1 }, ticks: { show: false }, space: 30, values: (_, values) => values.map((value) => (value === 0 ? '0' : format(value))) },
      ],
      series: [{}, ...lines.map((line) => ({ stroke: colour(line.colour), width: 1.5, paths: withGaps, points: { show: true, size: 4, fill: colour(line.colour), filter: lonelyOf } }))],
      hooks: {
        setCursor: [(self) => actions.onPoint((self.cursor.left ?? -1) < 0 ? undefined : (self.cursor.idx ?? undefined))],
        setSelect: [
          (self) => {
            if (self.select.width < 2) return
            const from = self.posToVal(self.select.left, 'x') * 1000
            const to = self.posToVal(self.select.left + self.select.width, 'x') * 1000
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            actions.onRange(fromMillis(from), fromMillis(Math.max(to, from + 1)))
          },
        ],
      },
    },
    [xs, ...lines.map((line) => line.values)] as uPlot.AlignedData,
    element,
  )
}
