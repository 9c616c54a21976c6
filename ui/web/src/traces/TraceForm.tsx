/** Service, operation, duration and errors as fields. Each reads and writes its clause of the query. */
import { useQuery } from '@tanstack/react-query'
import { useEffect, useId, useState } from 'react'
import { services } from '../api/tracing'
import { tt } from '../i18n/tracing'
import { EMPTY_FORM, formOf, withForm, type Form } from './query'

interface Props {
  q: string
  /** What stands in the query field, searched already or not. */
  draft: () => string
  from: string | undefined
  to: string | undefined
  onQuery: (q: string) => void
}

export function TraceForm({ q, draft, from, to, onQuery }: Props) {
  const form = formOf(q)
  // Names are suggested once somebody turns to the form; they cost a query of their own.
  const [asked, setAsked] = useState(false)
  const known = useQuery({
    queryKey: ['services', from, to],
    queryFn: ({ signal }) => services({ from, to }, signal),
    enabled: asked,
    staleTime: 60_000,
  })
  const operations = useQuery({
    queryKey: ['services', from, to, form.service],
    queryFn: ({ signal }) => services({ from, to, service: form.service }, signal),
    enabled: asked && form.service !== '',
    staleTime: 60_000,
  })
  const set = (change: Partial<Form>) => onQuery(withForm(draft(), change))
  const names = known.data?.rows.map((row) => row.service) ?? []
  const of = operations.data?.rows.flatMap((row) => row.operation ?? []) ?? []
  const empty = form.service === '' && form.operation === '' && form.min === '' && form.max === '' && !form.errors
  return (
    <form className="trace-form" aria-label={tt.list.form} onFocus={() => setAsked(true)} onSubmit={(event) => event.preventDefault()}>
      <Field label={tt.list.service} value={form.service} placeholder={tt.list.any} suggestions={names} onChange={(service) => set({ service })} />
      <Field label={tt.list.operation} value={form.operation} placeholder={tt.list.any} suggestions={of} wide onChange={(operation) => set({ operation })} />
      <Field label={tt.list.min} value={form.min} placeholder={tt.list.durationHint} onChange={(min) => set({ min })} />
      <Field label={tt.list.max} value={form.max} placeholder="2s" onChange={(max) => set({ max })} />
      <label className="check">
        <input type="checkbox" checked={form.errors} onChange={(event) => set({ errors: event.target.checked })} />
        <span>{tt.list.errors}</span>
      </label>
      {!empty && <button type="button" className="button quiet" onClick={() => set(EMPTY_FORM)}>{tt.list.clear}</button>}
    </form>
  )
}

interface FieldProps {
  label: string
  value: string
  placeholder: string
  suggestions?: string[]
  wide?: boolean
  onChange: (value: string) => void
}

/** Takes effect on Enter, on leaving it, and when a suggestion is chosen. */
function Field({ label, value, placeholder, suggestions, wide, onChange }: FieldProps) {
  const id = useId()
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  const apply = (next: string) => {
    if (next.trim() !== value) onChange(next.trim())
  }
  return (
    <span className={wide ? 'trace-field wide' : suggestions ? 'trace-field' : 'trace-field narrow'}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="text"
        value={text}
        placeholder={placeholder}
        list={suggestions ? `${id}-list` : undefined}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        onChange={(event) => {
          setText(event.target.value)
          // A chosen suggestion comes as one change to exactly that text.
          if ((event.nativeEvent as InputEvent).inputType === 'insertReplacementText' || (event.nativeEvent as InputEvent).inputType === undefined) apply(event.target.value)
        }}
        onBlur={() => apply(text)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') apply(text)
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
      {suggestions && <datalist id={`${id}-list`}>{suggestions.map((name) => <option key={name} value={name} />)}</datalist>}
    </span>
  )
}
