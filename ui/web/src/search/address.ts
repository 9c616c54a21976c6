/** What the search page keeps in its URL: everything that a link must restore. */
import { DEFAULT_RANGE, type TimeRange } from '../time/range'
import { isZone, LOCAL, type Zone } from '../time/zone'

export interface SearchAddress {
  q?: string
  from?: string
  to?: string
  tz?: string
  order?: 'oldest'
  cols?: string
  line?: string
}

/** Reads the URL; what is not understood is left out, and defaults are not written. */
export function readAddress(raw: Record<string, unknown>): SearchAddress {
  const text = (name: string): string | undefined => {
    const value = raw[name]
    if (typeof value === 'number' || typeof value === 'bigint') return String(value)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const address: SearchAddress = {}
  const put = <Name extends keyof SearchAddress>(name: Name, value: SearchAddress[Name] | undefined) => {
    if (value !== undefined) address[name] = value
  }
  put('q', text('q'))
  const range = { from: text('from') ?? DEFAULT_RANGE.from, to: text('to') ?? DEFAULT_RANGE.to }
  put('from', range.from === DEFAULT_RANGE.from ? undefined : range.from)
  put('to', range.to === DEFAULT_RANGE.to ? undefined : range.to)
  const zone = text('tz')
  put('tz', zone !== undefined && zone !== LOCAL && isZone(zone) ? zone : undefined)
  put('order', text('order') === 'oldest' ? 'oldest' : undefined)
  put('cols', raw.cols === '' ? '' : text('cols'))
  put('line', text('line'))
  return address
}

/** Fields shown as columns when the URL names none. */
export const DEFAULT_COLUMNS = ['service', 'host']

export const columnsOf = (address: SearchAddress): string[] =>
  address.cols === undefined ? DEFAULT_COLUMNS : [...new Set(address.cols.split(',').map((name) => name.trim()).filter(Boolean))]

/** What to write for these columns: nothing for the default, an empty text for none. */
export function columnsText(columns: string[]): string | undefined {
  const text = columns.join(',')
  return text === DEFAULT_COLUMNS.join(',') ? undefined : text
}

export const rangeOf = (address: SearchAddress): TimeRange => ({
  from: address.from ?? DEFAULT_RANGE.from,
  to: address.to ?? DEFAULT_RANGE.to,
})

export const zoneOf = (address: SearchAddress): Zone => address.tz ?? LOCAL

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
