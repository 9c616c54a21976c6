/** What the search page keeps in its URL: everything that a link must restore. */
import { indexIn } from '../query/clauses'
import { DEFAULT_RANGE, type TimeRange } from '../time/range'
import { isZone, LOCAL, type Zone } from '../time/zone'

/** The range and zone that most pages keep in their URL. */
export interface Window {
  from?: string
  to?: string
  tz?: string
}

export interface SearchAddress extends Window {
  q?: string
  order?: 'oldest'
  cols?: string
  line?: string
}

/** One value of the URL; an empty one is none. */
export function textIn(raw: Record<string, unknown>, name: string): string | undefined {
  const value = raw[name]
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The same object without what is undefined, as the router and `exactOptionalPropertyTypes` want it. */
export const defined = <T extends object>(values: { [Name in keyof T]: T[Name] | undefined }): T =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T

export function readWindow(raw: Record<string, unknown>): Window {
  const range = { from: textIn(raw, 'from') ?? DEFAULT_RANGE.from, to: textIn(raw, 'to') ?? DEFAULT_RANGE.to }
  const zone = textIn(raw, 'tz')
  return defined<Window>({
    from: range.from === DEFAULT_RANGE.from ? undefined : range.from,
    to: range.to === DEFAULT_RANGE.to ? undefined : range.to,
    tz: zone !== undefined && zone !== LOCAL && isZone(zone) ? zone : undefined,
  })
}

/** Reads the URL; what is not understood is left out, and defaults are not written. */
export const readAddress = (raw: Record<string, unknown>): SearchAddress =>
  defined<SearchAddress>({
    q: textIn(raw, 'q'),
    ...readWindow(raw),
    order: textIn(raw, 'order') === 'oldest' ? 'oldest' : undefined,
    cols: raw.cols === '' ? '' : textIn(raw, 'cols'),
    line: textIn(raw, 'line'),
  })

/** Fields shown as columns when the URL names none. */
const defaultColumns = (q: string | undefined): string[] => (indexIn(q ?? '') === 'spans' ? ['service', 'kind', 'duration'] : ['service', 'host'])

export const columnsOf = (address: SearchAddress): string[] =>
  address.cols === undefined ? defaultColumns(address.q) : [...new Set(address.cols.split(',').map((name) => name.trim()).filter(Boolean))]

/** What to write for these columns: nothing for the default, an empty text for none. */
export function columnsText(columns: string[], q: string | undefined): string | undefined {
  const text = columns.join(',')
  return text === defaultColumns(q).join(',') ? undefined : text
}

export const rangeOf = (address: Window): TimeRange => ({
  from: address.from ?? DEFAULT_RANGE.from,
  to: address.to ?? DEFAULT_RANGE.to,
})

export const zoneOf = (address: Window): Zone => address.tz ?? LOCAL

/** `?a=b` without JSON quoting, so that a hand-written link works and reads well. */
export function writeQueryString(values: Record<string, unknown>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) params.set(name, String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

export function readQueryString(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text))
}
