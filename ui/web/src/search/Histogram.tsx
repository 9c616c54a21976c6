/** Matches over time, stacked by level. Drag zooms at once; double-click goes back out. */
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { HistogramData } from '../api/types'
import { formatCount, formatShort, t } from '../i18n'
import type { Level } from '../rows/level'
import { resolvedColour, useScheme } from '../shell/theme'
import { fromMillis, toMillis, type Nanos } from '../time/instant'
import { formatTime, ianaName, type Zone } from '../time/zone'
import { barsOf, snap, stack, type Bars } from './bars'

const HEIGHT = 96

interface Props {
  data: HistogramData
  zone: Zone
  onZoom: (from: Nanos, to: Nanos) => void
  onZoomOut: () => void
  onLevel: (level: Level) => void
}

export function Histogram({ data, zone, onZoom, onZoomOut, onLevel }: Props) {
  const bars = useMemo(() => barsOf(data), [data])
  const scheme = useScheme()
  const place = useRef<HTMLDivElement>(null)
  const [pointed, setPointed] = useState<number>()
  const act = useRef({ onZoom, onZoomOut })
  useEffect(() => {
    act.current = { onZoom, onZoomOut }
  })

  useEffect(() => {
    const element = place.current
    if (!element || bars.totals.length === 0) return
    const chart = draw(element, bars, zone, {
      onZoom: (from, to) => act.current.onZoom(from, to),
      onZoomOut: () => act.current.onZoomOut(),
      onPoint: setPointed,
    })
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [bars, zone, scheme])

  const count = bars.totals.length
  const at = (index: number) => bars.start + BigInt(index) * bars.interval
  const total = bars.totals.reduce((sum, value) => sum + value, 0)
  const digits = bars.interval < 1_000_000_000n ? 3 : 0
  return (
    <section className="histogram" data-testid="histogram" aria-label={t.histogram.levels}>
      <div
        ref={place}
        className="histogram-chart"
        role="img"
        aria-label={t.histogram.label(t.search.matches(total), formatTime(at(0), zone, 0), formatTime(at(count), zone, 0))}
      />
      <div className="legend">
        {bars.levels.map(({ level, counts, total: all }) => (
          <button key={level} type="button" className={`level-${level}`} onClick={() => onLevel(level)} title={level === 'none' ? t.histogram.none : t.drawer.include(`level: ${level}`)}>
            <i aria-hidden="true" />
            {level === 'none' ? t.histogram.none : level}
            <b>{formatCount(pointed === undefined ? all : counts[pointed]!)}</b>
          </button>
        ))}
        <span className="spacer" />
        <span className="faint" aria-hidden="true">
          {pointed === undefined ? t.histogram.hint : `${formatTime(at(pointed), zone, digits)} – ${formatTime(at(pointed + 1), zone, digits).slice(11)}`}
        </span>
      </div>
    </section>
  )
}

interface Actions {
  onZoom: (from: Nanos, to: Nanos) => void
  onZoomOut: () => void
  onPoint: (bucket: number | undefined) => void
}

function draw(element: HTMLElement, bars: Bars, zone: Zone, actions: Actions): uPlot {
  const resolved = (name: string) => resolvedColour(element, name)
  const seconds = (time: Nanos) => toMillis(time) / 1000
  const width = Number(bars.interval) / 1e9
  const xs = bars.totals.map((_, index) => seconds(bars.start + BigInt(index) * bars.interval))
  const sums = stack(bars)
  // The whole stack first, then each lower part over it.
  const order = bars.levels.map((_, index) => index).reverse()
  const barsPath = uPlot.paths.bars!({ size: [0.86, 60, 1], align: 1, radius: [0.1, 0] })
  const faint = resolved('--text-faint')
  const grid = resolved('--line-soft')
  const font = '11px Inter, system-ui, sans-serif'
  const chart = new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [6, 10, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), ianaName(zone)),
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: {
          dblclick: () => () => {
            actions.onZoomOut()
            return null
          },
        },
      },
      scales: {
        x: { time: true, range: () => [xs[0]!, xs.at(-1)! + width] },
        y: { range: (_, __, max) => [0, Math.max(1, max * 1.05)] },
      },
      axes: [
        { stroke: faint, font, size: 24, gap: 4, grid: { show: false }, ticks: { show: false }, values: axisTexts() },
        { stroke: faint, font, size: 44, gap: 6, grid: { stroke: grid, width: 1 }, ticks: { show: false }, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9], values: (_, values) => values.map((value) => formatShort(value)) },
      ],
      series: [{}, ...order.map((index) => ({ fill: resolved(`--level-${bars.levels[index]!.level}`), stroke: 'transparent', width: 0, paths: barsPath, points: { show: false } }))],
      hooks: {
        setCursor: [
          (self) => {
            const left = self.cursor.left ?? -1
            const index = left < 0 ? -1 : Math.floor((self.posToVal(left, 'x') - xs[0]!) / width)
            actions.onPoint(index >= 0 && index < xs.length ? index : undefined)
          },
        ],
        setSelect: [
          (self) => {
            if (self.select.width < 2) return
            const from = fromMillis(self.posToVal(self.select.left, 'x') * 1000)
            const to = fromMillis(self.posToVal(self.select.left + self.select.width, 'x') * 1000)
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            const zoomed = snap(bars, from, to)
            actions.onZoom(zoomed.from, zoomed.to)
          },
        ],
      },
    },
    [xs, ...order.map((index) => sums[index]!)] as uPlot.AlignedData,
    element,
  )
  return chart
}

/** Times of day with the date where it changes, in 24 hours; uPlot's own are American. */
export function axisTexts(): uPlot.Axis.Values {
  return [
    [3600 * 24 * 365, '{YYYY}', null, null, null, null, null, null, 1],
    [3600 * 24 * 28, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
    [3600 * 24, '{MMM} {D}', null, null, null, null, null, null, 1],
    [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
    [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
    [0.001, '{HH}:{mm}:{ss}.{fff}', null, null, null, null, null, null, 1],
  ] as uPlot.Axis.Values
}
