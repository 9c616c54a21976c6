/** The query as text, its filters as chips, and where it is wrong. */
import { useEffect, useState, type Ref } from 'react'
import type { Refusal } from '../api/client'
import { t } from '../i18n'
import { chips, fromByteOffset, negate, remove, shownValue, type Clause } from '../query/clauses'
import { CloseIcon, SearchIcon } from '../shell/icons'

interface Props {
  q: string
  /** A change makes the field show `q` again, whatever was typed since. */
  revision?: number
  onSubmit: (q: string) => void
  refusal: Refusal | undefined
  field: Ref<HTMLInputElement>
  button: string
  placeholder?: string
}

export function QueryField({ q, revision, onSubmit, refusal, field, button, placeholder }: Props) {
  const [text, setText] = useState(q)
  useEffect(() => setText(q), [q, revision])
  const wrong = refusal?.span !== undefined
  return (
    <form
      className="query"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        onSubmit(text.trim())
      }}
    >
      <div className={wrong ? 'query-field wrong' : 'query-field'}>
        <SearchIcon />
        <input
          ref={field}
          type="text"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
          placeholder={placeholder ?? t.search.placeholder}
          aria-label={t.search.query}
          aria-invalid={wrong}
          aria-describedby={wrong ? 'query-error' : undefined}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
        />
        {text === '' && <kbd aria-hidden="true">/</kbd>}
      </div>
      <button type="submit" className="button primary">{button}</button>
    </form>
  )
}

/** The query's `field:value` clauses. Each can be taken out or turned around; the text follows. */
export function Chips({ q, onChange, without }: { q: string; onChange: (q: string) => void; /** Clauses that are shown elsewhere. */ without?: (clause: Clause) => boolean }) {
  const found = chips(q).filter((clause) => !without?.(clause))
  if (found.length === 0) return null
  return (
    <ul className="chips" aria-label={t.search.filters}>
      {found.map((clause) => {
        const text = `${clause.negated ? 'NOT ' : ''}${clause.field}: ${shownValue(clause)}`
        return (
          <li key={`${clause.from}-${text}`} className={clause.negated ? 'chip negated' : 'chip'}>
            <button type="button" className="chip-text" title={t.search.negateFilter(text)} aria-label={t.search.negateFilter(text)} onClick={() => onChange(negate(q, clause))}>
              {clause.negated && <b>NOT</b>}
              <span>{clause.field}</span>
              <em>{shownValue(clause)}</em>
            </button>
            <button type="button" className="chip-remove" aria-label={t.search.removeFilter(text)} onClick={() => onChange(remove(q, clause))}><CloseIcon /></button>
          </li>
        )
      })}
    </ul>
  )
}

/** Shows the query with the wrong part marked, below the message. */
export function QueryError({ q, refusal }: { q: string; refusal: Refusal }) {
  if (!refusal.span) return null
  const from = fromByteOffset(q, refusal.span.from)
  const to = Math.max(from, fromByteOffset(q, refusal.span.to))
  return (
    <div className="query-error" id="query-error" role="alert">
      <p><b>{t.search.column(Array.from(q.slice(0, from)).length + 1)}</b> {refusal.message}</p>
      <pre>{q.slice(0, from)}<mark>{q.slice(from, to) || ' '}</mark>{q.slice(to)}</pre>
    </div>
  )
}
