/** What the pages of traces and services keep in their URLs. */
import { defined, readWindow, textIn, type Window } from '../search/address'
import { readView } from '../trace/axis'
import { withForm } from './query'

export interface TracesAddress extends Window {
  q?: string
}

/** Short ways for links that others write. */
export const SHORT = ['service', 'op', 'min', 'max', 'err'] as const

/**
 * `service`, `op`, `min`, `max` and `err` become part of the query, so that there is one text that says
 * what is searched.
 */
export function readTracesAddress(raw: Record<string, unknown>): TracesAddress {
  const given = defined({
    service: textIn(raw, 'service'),
    operation: textIn(raw, 'op'),
    min: textIn(raw, 'min'),
    max: textIn(raw, 'max'),
    errors: ['1', 'true'].includes(textIn(raw, 'err') ?? '') ? true : undefined,
  })
  const q = withForm(textIn(raw, 'q') ?? '', given)
  return defined<TracesAddress>({ q: q === '' ? undefined : q, ...readWindow(raw) })
}

export interface TraceAddress {
  /** The chosen span. */
  span?: string
  tab?: 'logs'
  /** The chosen log line. */
  line?: string
  /** Logs of the chosen span only. */
  only?: 'span'
  find?: string
  min?: string
  path?: 'critical'
  /** The zoomed part, ns after the start: `1200-3400`. */
  view?: string
  tz?: string
}

export function readTraceAddress(raw: Record<string, unknown>): TraceAddress {
  const view = textIn(raw, 'view')
  return defined<TraceAddress>({
    span: textIn(raw, 'span'),
    tab: textIn(raw, 'tab') === 'logs' ? 'logs' : undefined,
    line: textIn(raw, 'line'),
    only: textIn(raw, 'only') === 'span' ? 'span' : undefined,
    find: textIn(raw, 'find'),
    min: textIn(raw, 'min'),
    path: textIn(raw, 'path') === 'critical' ? 'critical' : undefined,
    view: readView(view) ? view : undefined,
    tz: readWindow(raw).tz,
  })
}

export type ServicesTab = 'map'

export interface ServicesAddress extends Window {
  service?: string
  tab?: ServicesTab
  sort?: string
}

export const readServicesAddress = (raw: Record<string, unknown>): ServicesAddress =>
  defined<ServicesAddress>({
    ...readWindow(raw),
    service: textIn(raw, 'service'),
    tab: textIn(raw, 'tab') === 'map' ? 'map' : undefined,
    sort: textIn(raw, 'sort'),
  })
