/** What a query with pipes gives: columns and rows, in the order of the answer. */
import type { Table } from '../api/types'
import { t } from '../i18n'

/** A table is drawn whole, and nobody reads further. */
const ROWS_MAX = 1000

export function TableAnswer({ table }: { table: Table }) {
  const numeric = table.columns.map((_, at) => table.rows.every((row) => row[at] === null || typeof row[at] === 'number'))
  return (
    <div className="table-answer" tabIndex={0} role="region" aria-label={t.search.table}>
      <table aria-label={t.search.table} data-testid="table-answer">
        <thead><tr>{table.columns.map((name, at) => <th key={`${at}-${name}`} scope="col" className={numeric[at] ? 'number mono' : 'mono'}>{name}</th>)}</tr></thead>
        <tbody>
          {table.rows.slice(0, ROWS_MAX).map((row, index) => (
            <tr key={index}>{row.map((value, at) => <td key={at} className={numeric[at] ? 'number' : 'mono wide'}>{cell(value)}</td>)}</tr>
          ))}
        </tbody>
      </table>
      {table.rows.length > ROWS_MAX && <p className="rows-note">{t.search.tableCut(ROWS_MAX)}</p>}
    </div>
  )
}

function cell(value: unknown) {
  if (value === null || value === undefined) return <span className="faint">–</span>
  if (typeof value === 'number') return value.toLocaleString(t.locale, { maximumFractionDigits: 3 })
  return typeof value === 'string' ? value : JSON.stringify(value)
}
