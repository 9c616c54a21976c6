import type { Hit } from '../api/types'
import { formatDuration } from '../traces/duration'

export interface FieldValue {
  name: string
  text: string
  /** Can the query language ask for it by this name? */
  filter: boolean
}

/** Scalars of nested attributes by dotted name, which is how the query language says them. */
function flatten(value: unknown, name: string, into: FieldValue[]): void {
  if (Array.isArray(value)) {
    into.push({ name, text: JSON.stringify(value), filter: false })
  } else if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) flatten(inner, name === '' ? key : `${name}.${key}`, into)
  } else if (value !== null && value !== undefined) {
    into.push({ name, text: String(value), filter: true })
  }
}

/** The scalars in a value by their dotted names. */
export function flattened(value: unknown): FieldValue[] {
  const fields: FieldValue[] = []
  flatten(value, '', fields)
  return fields
}

/** The fields of an event in reading order, without those that it does not have. */
export function fieldsOf(hit: Hit): FieldValue[] {
  const fields: FieldValue[] = []
  for (const name of NAMED) {
    const text = hit[name]
    if (typeof text === 'string' && text !== '') fields.push({ name, text, filter: true })
  }
  const known = new Set(fields.map((field) => field.name))
  if (hit.duration_ns !== undefined && hit.duration_ns !== null) fields.push({ name: 'duration', text: `${hit.duration_ns}ns`, filter: true })
  for (const field of flattened(hit.attributes)) {
    // An attribute that has a fixed field's name is asked for by its long name.
    fields.push(known.has(field.name) || RESERVED.has(field.name) ? { ...field, name: `attributes.${field.name}` } : field)
  }
  if (hit.offset !== undefined) fields.push({ name: 'offset', text: String(hit.offset), filter: false })
  fields.push({ name: 'id', text: hit.id, filter: true })
  return fields
}

/** Fixed fields; those from `operation` on are a span's. */
const NAMED = ['level', 'service', 'host', 'source', 'trace_id', 'span_id', 'operation', 'kind', 'status', 'status_message', 'parent_id'] as const

const RESERVED = new Set(['level', 'service', 'host', 'source', 'path', 'body', 'raw', 'trace_id', 'span_id', 'timestamp', 'id', 'index', 'offset'])

/** The text of one column. */
export function columnText(hit: Hit, name: string): string {
  // As a filter it is exact; in a column it is there to be compared.
  if (name === 'duration' && hit.duration_ns != null) return formatDuration(Number(hit.duration_ns))
  if ((NAMED as readonly string[]).includes(name) && typeof hit[name as (typeof NAMED)[number]] === 'string') return hit[name as (typeof NAMED)[number]]!
  return fieldsOf(hit).find((field) => field.name === name)?.text ?? ''
}
