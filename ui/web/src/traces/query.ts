/**
 * The form of the traces page, read out of the query text and written back into it.
 *
 * The text is the only state, as with the chips of the search page: what stands in the form is what the
 * text says, and whatever the form cannot say stays in the text.
 */
import { clauses, clauseText, cutPipes, include, remove, shownValue, type Clause } from '../query/clauses'
import { queryDuration, readDuration } from './duration'

export interface Form {
  service: string
  operation: string
  /** As written in the query: `500ms`. */
  min: string
  max: string
  errors: boolean
}

export const EMPTY_FORM: Form = { service: '', operation: '', min: '', max: '', errors: false }

type Part = keyof Form

const LOW = /^>=?\s*(.+)$/s
const HIGH = /^<=?\s*(.+)$/s

/** Which part of the form a clause fills; undefined for clauses that the form has no field for. */
export function partOf(clause: Clause): Part | undefined {
  if (clause.negated) return undefined
  const plain = clause.value.startsWith('"') || !/[*?]|^[[({/<>]/.test(clause.value)
  if (clause.field === 'service' && plain) return 'service'
  if ((clause.field === 'operation' || clause.field === 'name') && plain) return 'operation'
  if (clause.field === 'status' && shownValue(clause) === 'error') return 'errors'
  if (clause.field !== 'duration') return undefined
  return LOW.test(clause.value) ? 'min' : HIGH.test(clause.value) ? 'max' : undefined
}

export function formOf(q: string): Form {
  const form = { ...EMPTY_FORM }
  for (const clause of clauses(q) ?? []) {
    const part = partOf(clause)
    if (part === 'errors') form.errors = true
    else if (part === 'min') form.min = LOW.exec(clause.value)![1]!
    else if (part === 'max') form.max = HIGH.exec(clause.value)![1]!
    else if (part !== undefined) form[part] = shownValue(clause)
  }
  return form
}

/** The query with some parts of the form changed; an empty part takes its clause away. */
export function withForm(q: string, change: Partial<Form>): string {
  const [filter, pipes] = cutPipes(q)
  let text = filter.trim()
  for (const part of Object.keys(change) as Part[]) {
    for (const clause of (clauses(text) ?? []).reverse()) {
      if (partOf(clause) === part) text = remove(text, clause)
    }
    text = add(text, part, change[part]!)
  }
  return pipes === '' ? text : `${text} ${pipes}`.trim()
}

function add(text: string, part: Part, value: string | boolean): string {
  if (value === '' || value === false) return text
  if (part === 'errors') return include(text, 'status', 'error')
  if (part === 'service' || part === 'operation') return include(text, part, String(value))
  const ns = readDuration(String(value))
  // What is no length of time goes in as it is: the server says what is wrong with it, and where.
  const bound = `duration:${part === 'min' ? '>=' : '<='}${ns === undefined ? String(value).replace(/\s+/g, '') : queryDuration(ns)}`
  if (clauses(text) === undefined && text.trim() !== '') return `(${text.trim()}) ${bound}`
  return [text.trim() === '*' ? '' : text.trim(), bound].filter(Boolean).join(' ')
}

/** Names that a query of spans takes for the span's own fields; attributes of these names need their long one. */
const OWN = /^(index|id|timestamp|level|service|host|source|path|body|raw|trace_id|span_id|offset|operation|name|kind|status|status_message|duration|parent_id|attributes\..*|events(\..*)?|links(\..*)?)$/

/** The query of traces that have a span with this very attribute. */
export const queryFor = (attribute: string, value: string): string => clauseText(OWN.test(attribute) ? `attributes.${attribute}` : attribute, value)
