/** What a query with pipes gives: columns and rows, in the order of the answer. */
import type { Table } from '../api/types'
import { t } from '../i18n'
import { WarnIcon } from '../shell/icons'
import { fromRfc3339 } from '../time/instant'
import { formatTime, type Zone } from '../time/zone'
import { formatDuration } from '../traces/duration'

/** A table is drawn whole, and nobody reads further. */
const ROWS_MAX = 1000

export function TableAnswer({ table, zone }: { table: Table; zone: Zone }) {
  const numeric = table.columns.map((_, at) => table.rows.every((row) => row[at] === null || typeof row[at] === 'number'))
  return (
    <div className="table-answer" tabIndex={0} role="region" aria-label={t.search.table}>
      {(table.notes ?? []).map((note) => <p key={note} className={table.complete === false ? 'rows-note warn' : 'rows-note'}>{table.complete === false && <WarnIcon />} {note}</p>)}
      <table aria-label={t.search.table} data-testid="table-answer">
        <thead><tr>{table.columns.map((name, at) => <th key={`${at}-${name}`} scope="col" className={numeric[at] ? 'number mono' : 'mono'}>{name}</th>)}</tr></thead>
        <tbody>
          {table.rows.slice(0, ROWS_MAX).map((row, index) => (
            <tr key={index}>{row.map((value, at) => <td key={at} className={numeric[at] ? 'number' : 'mono wide'}>{cell(value, table.units?.[at], zone)}</td>)}</tr>
          ))}
        </tbody>
      </table>
      {table.rows.length > ROWS_MAX && <p className="rows-note">{t.search.tableCut(ROWS_MAX)}</p>}
    </div>
  )
}

function cell(value: unknown, unit: 'ns' | 'time' | null | undefined, zone: Zone) {
  if (value === null || value === undefined) return <span className="faint">–</span>
  if (unit === 'ns' && typeof value === 'number') return <span title={`${value} ns`}>{formatDuration(value)}</span>
  if (unit === 'time' && typeof value === 'string') return <time dateTime={value}>{formatTime(fromRfc3339(value), zone, 0)}</time>
  if (typeof value === 'number') return value.toLocaleString(t.locale, { maximumFractionDigits: 3 })
  return typeof value === 'string' ? value : JSON.stringify(value)
}
