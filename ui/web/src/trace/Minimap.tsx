/** The whole trace in a strip, and the part of it that the waterfall shows: to be moved, stretched, or drawn anew. */
import { useEffect, useRef, useState, type PointerEvent } from 'react'
import { tt } from '../i18n/tracing'
import { resolvedColour, useScheme } from '../shell/theme'
import { COLOURS, colourVariable } from '../traces/colours'
import { formatDuration } from '../traces/duration'
import { clamp, pan, type View } from './axis'
import { STATUS_ERROR, type Trace } from './tree'

const HEIGHT = 64
const GRIP_PX = 7

interface Props {
  trace: Trace
  colours: Map<string, number>
  view: View
  onView: (view: View) => void
}

type Drag = { kind: 'pan' | 'from' | 'to' | 'new'; start: number; view: View }

export function Minimap({ trace, colours, view, onView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scheme = useScheme()
  const [drag, setDrag] = useState<Drag>()
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const paint = () => draw(element, trace, colours)
    paint()
    const observer = new ResizeObserver(paint)
    observer.observe(element)
    return () => observer.disconnect()
  }, [trace, colours, scheme])

  const whole = Math.max(1, trace.duration)
  const left = (100 * view.from) / whole
  const right = (100 * view.to) / whole
  const isWhole = view.from <= 0 && view.to >= whole
  const time = (event: PointerEvent): number => {
    const box = event.currentTarget.getBoundingClientRect()
    return (Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width))) * whole)
  }
  const down = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return
    event.currentTarget.setPointerCapture(event.pointerId)
    const at = time(event)
    const grip = (GRIP_PX / Math.max(1, event.currentTarget.clientWidth)) * whole
    const kind = Math.abs(at - view.from) < grip && !isWhole ? 'from' : Math.abs(at - view.to) < grip && !isWhole ? 'to' : !isWhole && at > view.from && at < view.to ? 'pan' : 'new'
    setDrag({ kind, start: at, view })
  }
  const move = (event: PointerEvent) => {
    if (!drag) return
    const at = time(event)
    if (drag.kind === 'pan') onView(pan(drag.view, at - drag.start, whole))
    else if (drag.kind === 'new') {
      // A click is not a range.
      if (Math.abs(at - drag.start) > whole / 300) onView(clamp({ from: Math.min(at, drag.start), to: Math.max(at, drag.start) }, whole))
    } else {
      const other = drag.kind === 'from' ? drag.view.to : drag.view.from
      onView(clamp({ from: Math.min(at, other), to: Math.max(at, other) }, whole))
    }
  }
  return (
    <div
      className={drag ? `minimap dragging ${drag.kind}` : isWhole ? 'minimap' : 'minimap zoomed'}
      data-testid="minimap"
      role="img"
      aria-label={tt.trace.minimap(formatDuration(view.from), formatDuration(view.to))}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={() => setDrag(undefined)}
      onPointerCancel={() => setDrag(undefined)}
      onDoubleClick={() => onView({ from: 0, to: whole })}
    >
      <canvas ref={canvas} />
      {!isWhole && (
        <>
          <i className="minimap-veil" style={{ left: 0, width: `${left}%` }} />
          <i className="minimap-veil" style={{ left: `${right}%`, right: 0 }} />
          <i className="minimap-view" data-testid="minimap-view" style={{ left: `${left}%`, width: `${right - left}%` }} />
        </>
      )}
    </div>
  )
}

/** A line for each span, as many on one row of pixels as must be; marks of errors over all. */
function draw(canvas: HTMLCanvasElement, trace: Trace, colours: Map<string, number>): void {
  const ratio = devicePixelRatio || 1
  const width = canvas.clientWidth
  const context = canvas.getContext('2d')
  if (!context || width === 0) return
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(HEIGHT * ratio)
  context.scale(ratio, ratio)
  const palette = Array.from({ length: COLOURS }, (_, colour) => resolvedColour(canvas.parentElement!, colourVariable(colour)))
  const failed = resolvedColour(canvas.parentElement!, '--level-error')
  const paints = trace.services.map((name) => palette[colours.get(name) ?? 0]!)
  const scale = width / Math.max(1, trace.duration)
  const step = (HEIGHT - 4) / Math.max(1, trace.count)
  const thick = Math.min(4, Math.max(1, step * 0.8))
  // One colour after the other: changing it for each of 50,000 lines takes longer than to draw them.
  const byService: number[][] = trace.services.map(() => [])
  const errors: number[] = []
  for (let at = 0; at < trace.count; at++) {
    byService[trace.service[at]!]!.push(at)
    if (trace.status[at] === STATUS_ERROR) errors.push(at)
  }
  const lines = (spans: number[], paint: string, least: number, most: number) => {
    context.fillStyle = paint
    for (const at of spans) context.fillRect(trace.start[at]! * scale, 2 + at * step, Math.min(most, Math.max(least, trace.length[at]! * scale)), thick)
  }
  for (const [service, spans] of byService.entries()) lines(spans, paints[service]!, 0.75, width)
  // Where an error began, not all of its time: a few long ones would cover everything.
  lines(errors, failed, 3, 8)
}
