/** Who calls whom: boxes and lines. A line is as wide as its calls are many and as red as they fail. */
import { useMemo, type KeyboardEvent } from 'react'
import type { DependenciesAnswer, Edge } from '../api/tracing'
import { formatShort } from '../i18n'
import { tt } from '../i18n/tracing'
import { clauseText } from '../query/clauses'
import { coloursOf, colourValue } from '../traces/colours'
import { formatDuration } from '../traces/duration'
import { percent } from './chart'
import { layout, type Drawn } from './layout'

const SIZE = { nodeWidth: 148, nodeHeight: 44, layerGap: 92, rowGap: 22 }
const MARGIN = 20
const WIDEST = 9
/** How far a line that runs backwards lies below the one it may answer. */
const BACK = 11
/** Smaller than this nothing can be read; then it scrolls. */
const SMALLEST = 0.7

interface Props {
  answer: DependenciesAnswer
  onTraces: (q: string) => void
}

export function Dependencies({ answer, onTraces }: Props) {
  const picture = useMemo(() => layout(answer.services, answer.edges.map(({ parent, child }) => ({ from: parent, to: child })), SIZE), [answer])
  const edges = useMemo(() => new Map(answer.edges.map((edge) => [key(edge.parent, edge.child), edge])), [answer])
  const colours = useMemo(() => coloursOf(answer.services), [answer])
  const called = useMemo(() => callsOf(answer.edges), [answer])
  const wide = picture.width + 2 * MARGIN
  const most = answer.edges.reduce((largest, edge) => Math.max(largest, edge.calls), 1)
  const width = (calls: number) => 1 + (WIDEST - 1) * Math.sqrt(calls / most)
  // The widest lines first: a narrow one over them can still be seen and clicked.
  const links = picture.links.map(apart).sort((a, b) => edges.get(key(b.from, b.to))!.calls - edges.get(key(a.from, a.to))!.calls)
  return (
    <div className="graph-frame" tabIndex={0} role="region" aria-label={tt.services.map}>
      <svg
        className="graph"
        data-testid="dependency-graph"
        style={{ width: '100%', maxWidth: wide, minWidth: wide * SMALLEST }}
        viewBox={`${-MARGIN} ${-MARGIN} ${wide} ${picture.height + 2 * MARGIN + BACK}`}
        role="group"
        aria-label={tt.services.graph(picture.nodes.length, picture.links.length)}
      >
        {links.map((link) => {
          const edge = edges.get(key(link.from, link.to))!
          const text = tt.services.edge(edge.parent, edge.child, edge.calls, percent(edge.errors, edge.calls), edge.p95 === null ? '–' : formatDuration(edge.p95))
          const end = link.points.at(-1)!
          return (
            <g key={key(link.from, link.to)} className="edge" role="link" tabIndex={0} aria-label={text} data-testid="edge" data-edge={`${edge.parent} ${edge.child}`} {...opens(() => onTraces(clauseText('service', edge.child)))}>
              <title>{text}</title>
              <path className="edge-reach" d={curve(link)} />
              <path className="edge-line" d={curve(link)} strokeWidth={width(edge.calls)} style={{ stroke: shade(edge.errors, edge.calls) }} />
              <path className="edge-end" d={link.backwards ? `M${end.x} ${end.y}l8 -5v10Z` : `M${end.x} ${end.y}l-8 -5v10Z`} style={{ fill: shade(edge.errors, edge.calls) }} />
              <text className="edge-calls" x={middle(link).x} y={middle(link).y}>{formatShort(edge.calls)}</text>
            </g>
          )
        })}
        {picture.nodes.map((node) => {
          const sum = called.get(node.name)
          const share = sum && sum.errors > 0 ? percent(sum.errors, sum.calls) : undefined
          return (
            <g key={node.name} className="node" role="link" tabIndex={0} transform={`translate(${node.x} ${node.y})`} data-testid="node" data-service={node.name}
              aria-label={tt.services.node(node.name, sum ? tt.services.calls(sum.calls) : tt.services.uncalled, share ?? '0 %')} {...opens(() => onTraces(clauseText('service', node.name)))}>
              <title>{node.name}</title>
              <rect width={SIZE.nodeWidth} height={SIZE.nodeHeight} rx={7} />
              <rect className="node-colour" x={9} y={11} width={8} height={8} rx={2.5} style={{ fill: colourValue(colours.get(node.name)) }} />
              <text className="node-name" x={23} y={19}>{short(node.name)}</text>
              <text className="node-calls" x={23} y={35}>{sum ? tt.services.calls(sum.calls) : tt.services.uncalled}{share && <tspan className="node-errors" dx={6}>{share}</tspan>}</text>
            </g>
          )
        })}
      </svg>
      <p className="graph-legend faint"><span className="scale" aria-hidden="true" /> {tt.services.legend}. {tt.services.selfCalls}</p>
    </div>
  )
}

const key = (from: string, to: string): string => JSON.stringify([from, to])

const NAME = 17
const short = (name: string): string => (name.length > NAME ? `${name.slice(0, NAME - 1)}…` : name)

function callsOf(edges: Edge[]): Map<string, { calls: number; errors: number }> {
  const sums = new Map<string, { calls: number; errors: number }>()
  for (const { child, calls, errors } of edges) {
    const sum = sums.get(child) ?? { calls: 0, errors: 0 }
    sums.set(child, { calls: sum.calls + calls, errors: sum.errors + errors })
  }
  return sums
}

/** From grey over to red: one error in a hundred is seen, one in ten is red. */
function shade(errors: number, calls: number): string {
  if (errors === 0 || calls === 0) return 'var(--line-strong)'
  const part = Math.min(1, Math.max(0.25, Math.log10(1 + (900 * errors) / calls) / 2))
  return `color-mix(in srgb, var(--level-error) ${Math.round(part * 100)}%, var(--line-strong))`
}

function curve({ points }: Drawn): string {
  let path = `M${points[0]!.x} ${points[0]!.y}`
  for (let at = 1; at < points.length; at++) {
    const [from, to] = [points[at - 1]!, points[at]!]
    const bend = (to.x - from.x) / 2
    path += `C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`
  }
  return path
}

/** A call back would lie on the line of the call, so it is drawn lower. */
const apart = (link: Drawn): Drawn => (link.backwards ? { ...link, points: link.points.map(({ x, y }) => ({ x, y: y + BACK })) } : link)

/** Between the first two points: there lines of one service lie apart already. */
const middle = ({ points }: Drawn): { x: number; y: number } => ({ x: (points[0]!.x + points[1]!.x) / 2, y: (points[0]!.y + points[1]!.y) / 2 })

const opens = (open: () => void) => ({
  onClick: open,
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    open()
  },
})
