/** Services or operations with their numbers, each beside its course over the range. */
import { useMemo } from 'react'
import type { ServiceRow, ServicesAnswer } from '../api/tracing'
import { tt } from '../i18n/tracing'
import { fromRfc3339 } from '../time/instant'
import { colourValue, coloursOf } from '../traces/colours'
import { formatDuration } from '../traces/duration'
import { errorShares, linePath, percent, ratesOf } from './chart'
import { clicked, orderOf, sorted, type Sort } from './sort'

const WIDTH = 96
const HEIGHT = 22

interface Props {
  answer: ServicesAnswer
  first: string
  nameOf: (row: ServiceRow) => string
  sort: string | undefined
  onSort: (sort: string | undefined) => void
  onOpen: (row: ServiceRow) => void
  onTraces: (row: ServiceRow, errors: boolean) => void
}

export function ServiceTable({ answer, first, nameOf, sort, onSort, onOpen, onTraces }: Props) {
  const order = orderOf(sort)
  const rows = useMemo(() => sorted(answer.rows, orderOf(sort), nameOf), [answer, sort, nameOf])
  const colours = useMemo(() => coloursOf(answer.rows.map((row) => row.service)), [answer])
  const seconds = Math.max(1, Number(fromRfc3339(answer.to) - fromRfc3339(answer.from)) / 1e9)
  const isOperations = first === tt.services.operation
  const head = (by: Sort, text: string, number = true) => (
    <th scope="col" className={number ? 'number' : ''} aria-sort={order.by === by ? (order.turned === (by === 'name') ? 'descending' : 'ascending') : undefined}>
      <button type="button" className="sort" onClick={() => onSort(clicked(sort, by))}>{text}{order.by === by && <i aria-hidden="true">{order.turned === (by === 'name') ? '↓' : '↑'}</i>}</button>
    </th>
  )
  return (
    <div className="table-frame" tabIndex={0}>
      <table className="services" aria-label={isOperations ? tt.services.operations : tt.services.table}>
        <thead>
          <tr>
            {head('name', first, false)}
            {head('requests', tt.services.rate)}
            <td className="spark" />
            {head('errors', tt.services.errors)}
            <td className="spark" />
            {head('p50', tt.services.p50)}
            {head('p95', tt.services.p95)}
            {head('p99', tt.services.p99)}
            <td className="spark" />
            <td />
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={nameOf(row)} data-testid="service-row" data-name={nameOf(row)}>
              <th scope="row">
                <button type="button" className="link strong" onClick={() => onOpen(row)}>
                  {!isOperations && <i className="dot" style={{ background: colourValue(colours.get(row.service)) }} />}{nameOf(row)}
                </button>
              </th>
              <td className="number" title={tt.services.requests(row.requests)}>{tt.services.perSecond(row.requests / seconds)}</td>
              <td className="spark"><Spark values={ratesOf(row.series, answer.step_ns)} /></td>
              <td className={row.errors > 0 ? 'number bad' : 'number faint'} title={tt.errors(row.errors)}>
                {row.errors > 0 ? <button type="button" className="link bad" aria-label={`${percent(row.errors, row.requests)}: ${tt.services.traces}`} onClick={() => onTraces(row, true)}>{percent(row.errors, row.requests)}</button> : '0 %'}
              </td>
              <td className="spark">{row.errors > 0 && <Spark values={errorShares(row.series)} tone="bad" />}</td>
              <td className="number">{duration(row.p50)}</td>
              <td className="number">{duration(row.p95)}</td>
              <td className="number">{duration(row.p99)}</td>
              <td className="spark"><Spark values={row.series.p99} /></td>
              <td className="end"><button type="button" className="button small quiet" aria-label={`${tt.services.traces}: ${nameOf(row)}`} onClick={() => onTraces(row, false)}>{tt.services.traces}</button></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const duration = (ns: number | null): string => (ns === null ? '–' : formatDuration(ns))

/** The course of a number; its scale is its own, so it says when, not how much. */
function Spark({ values, tone }: { values: (number | null)[]; tone?: 'bad' }) {
  return (
    <svg className={tone ? `sparkline ${tone}` : 'sparkline'} width={WIDTH} height={HEIGHT} viewBox={`0 -1.5 ${WIDTH} ${HEIGHT + 3}`} aria-hidden="true">
      <path d={linePath(values, WIDTH, HEIGHT)} />
    </svg>
  )
}
