/** No trace is there: how to get spans in, where else to look, what a query can say. */
import { t } from '../i18n'
import { tt } from '../i18n/tracing'
import { chips, remove, shownValue } from '../query/clauses'
import { rangeOf } from '../search/address'
import { Empty } from '../shell/Empty'
import { ALL_TIME, type TimeRange } from '../time/range'
import type { TracesAddress } from './address'

interface Props {
  address: TracesAddress
  onRange: (range: TimeRange) => void
  onQuery: (q: string) => void
}

export function NoTraces({ address, onRange, onQuery }: Props) {
  const q = address.q ?? ''
  const isAll = rangeOf(address).from === 'all'
  const isEverything = q === '' || q === '*'
  if (isAll && isEverything) return <Empty title={tt.empty.noDataTitle}><HowToSend /></Empty>
  const filters = chips(q)
  return (
    <Empty title={tt.empty.title}>
      {!isAll && (
        <>
          <p>{t.empty.range}</p>
          <div className="empty-actions">
            {(['1h', '24h', '7d'] as const).map((span) => <button key={span} type="button" className="button" onClick={() => onRange({ from: span, to: 'now' })}>{t.time.last(t.time.spans[span]!)}</button>)}
            <button type="button" className="button primary" onClick={() => onRange(ALL_TIME)}>{t.empty.allTime}</button>
          </div>
        </>
      )}
      {filters.length > 0 && (
        <>
          <p>{t.empty.filters}</p>
          <div className="empty-actions">
            {filters.map((clause) => <button key={clause.from} type="button" className="button" onClick={() => onQuery(remove(q, clause))}>{clause.field}: {shownValue(clause)}</button>)}
          </div>
        </>
      )}
      {isEverything ? <><h3>{tt.empty.how}</h3><HowToSend /></> : <SpanSyntax onQuery={onQuery} />}
    </Empty>
  )
}

export function HowToSend() {
  const host = location.hostname || 'localhost'
  return (
    <div data-testid="how-to-send">
      <p>{tt.empty.lead}</p>
      <pre tabIndex={0}>{tt.empty.env(host)}</pre>
      <p>{tt.empty.collector}</p>
      <pre tabIndex={0}>{tt.empty.yaml(host)}</pre>
    </div>
  )
}

export function SpanSyntax({ onQuery, alone }: { onQuery: (q: string) => void; /** Without a heading above it. */ alone?: boolean }) {
  return (
    <>
      {alone ? <h2>{tt.empty.syntaxTitle}</h2> : <h3>{tt.empty.syntaxTitle}</h3>}
      <dl className="syntax">
        {tt.empty.syntax.map(([example, meaning]) => (
          <div key={example}>
            <dt><button type="button" className="link mono" onClick={() => onQuery(example)}>{example}</button></dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}
