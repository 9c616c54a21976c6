import { fromMillis, NS_PER_SECOND, readWritten, toRfc3339, type Nanos } from './instant'
import { formatTime, fromWall, type Zone } from './zone'

/** A range as it stands in the URL: `15m`, `now-1h`, RFC 3339, an epoch number; `all` and `now` are open ends. */
export interface TimeRange {
  from: string
  to: string
}

export interface Bounds {
  /** Undefined: no limit on that side. */
  from: Nanos | undefined
  to: Nanos | undefined
}

export const DEFAULT_RANGE: TimeRange = { from: '15m', to: 'now' }
export const ALL_TIME: TimeRange = { from: 'all', to: 'now' }

export const PRESETS = ['5m', '15m', '1h', '6h', '24h', '7d', '30d'] as const

const UNIT_SECONDS: Record<string, bigint> = {}
for (const [names, seconds] of [
  ['s sec secs second seconds', 1n],
  ['m min mins minute minutes', 60n],
  ['h hr hrs hour hours', 3600n],
  ['d day days', 86_400n],
  ['w week weeks', 604_800n],
] as const) {
  for (const name of names.split(' ')) UNIT_SECONDS[name] = seconds
}

/** `90s`, `1h30m`, `2 hours`; undefined when it is no length of time. */
export function readSpan(text: string): Nanos | undefined {
  const trimmed = text.trim().toLowerCase()
  if (!/^(\d{1,9}\s*[a-z]+\s*)+$/.test(trimmed)) return undefined
  let total = 0n
  for (const [, number, unit] of trimmed.matchAll(/(\d{1,9})\s*([a-z]+)/g)) {
    if (unit === 'ms') {
      total += BigInt(number!) * 1_000_000n
      continue
    }
    const seconds = UNIT_SECONDS[unit!]
    if (seconds === undefined) return undefined
    total += BigInt(number!) * seconds * NS_PER_SECOND
  }
  return total
}

const isRelative = (text: string): boolean => relative(text, 0n) !== undefined

function relative(text: string, now: Nanos): Nanos | undefined {
  const lower = text.trim().toLowerCase()
  if (lower === 'now') return now
  const signed = /^now\s*([+-])\s*(.+)$/.exec(lower)
  if (signed) {
    const span = readSpan(signed[2]!)
    return span === undefined ? undefined : signed[1] === '-' ? now - span : now + span
  }
  const span = readSpan(lower.replace(/\s*ago$/, '').replace(/^(last|past|-)\s*/, ''))
  return span === undefined ? undefined : now - span
}

function epoch(text: string): Nanos | undefined {
  const match = /^(-?)(\d{1,19})(?:\.(\d{1,9}))?$/.exec(text.trim())
  if (!match) return undefined
  const number = BigInt(match[2]!)
  // The same sizes as the server's: seconds, milliseconds, microseconds, nanoseconds.
  const unit =
    number < 100_000_000_000n ? NS_PER_SECOND : number < 100_000_000_000_000n ? 1_000_000n : number < 100_000_000_000_000_000n ? 1000n : 1n
  const fraction = match[3] ? (BigInt(match[3].padEnd(9, '0')) * unit) / NS_PER_SECOND : 0n
  const nanos = number * unit + fraction
  return match[1] ? -nanos : nanos
}

/** A typed time; without an offset of its own it is read in `zone`. A time of day is today's. */
export function readTime(text: string, zone: Zone, now: Nanos): Nanos | undefined {
  const known = relative(text, now) ?? epoch(text)
  if (known !== undefined) return known
  const clock = /^\d{1,2}:\d\d(:\d\d([.,]\d{1,9})?)?$/.exec(text.trim())
  const dated = clock ? `${formatTime(now, zone, 0).slice(0, 10)} ${text.trim().padStart(text.trim().indexOf(':') === 1 ? text.trim().length + 1 : 0, '0')}` : text
  const written = readWritten(dated)
  if (!written) return undefined
  return written.offsetMinutes === undefined
    ? fromWall(written.nanos, zone)
    : written.nanos - fromMillis(written.offsetMinutes * 60_000)
}

/** What the URL's text means now. */
export function resolve(range: TimeRange, zone: Zone, now: Nanos): Bounds | undefined {
  const from = range.from === 'all' || range.from === '' ? null : readTime(range.from, zone, now)
  const to = range.to === '' ? now : readTime(range.to, zone, now)
  if (from === undefined || to === undefined || (from !== null && from >= to)) return undefined
  return { from: from ?? undefined, to: range.from === 'all' && range.to === 'now' ? undefined : to }
}

/** Reads what a person types in one field: `15m`, `2h ago`, `09:00 - 10:30`, `now-2h to now-1h`, one moment to now. */
export function readRange(text: string, zone: Zone, now: Nanos): TimeRange | undefined {
  const trimmed = text.trim()
  if (/^all( time)?$/i.test(trimmed)) return ALL_TIME
  const ends = (from: string, to: string): TimeRange | undefined => {
    const range = { from: keep(from, zone, now), to: keep(to, zone, now) }
    if (range.from === undefined || range.to === undefined) return undefined
    const read = { from: range.from, to: range.to }
    return resolve(read, zone, now) ? read : undefined
  }
  if (relative(trimmed, now) !== undefined) return ends(trimmed, 'now')
  const halves = /^(.+?)\s*(?:\s[-–—]\s|–|—|\s+to\s+|\s*\.\.\s*)\s*(.+)$/i.exec(trimmed) ?? /^(\d{1,2}:\d\d(?::\d\d)?)\s*-\s*(\d{1,2}:\d\d(?::\d\d)?)$/.exec(trimmed)
  if (halves) return ends(halves[1]!, halves[2]!)
  return ends(trimmed, 'now')
}

/** Relative text stays as typed (it moves with now); the rest becomes a moment, free of any zone. */
function keep(text: string, zone: Zone, now: Nanos): string | undefined {
  const lower = text.trim().toLowerCase()
  if (isRelative(lower)) return lower
  const time = readTime(text, zone, now)
  return time === undefined ? undefined : toRfc3339(time)
}

export const absolute = (from: Nanos, to: Nanos): TimeRange => ({ from: toRfc3339(from), to: toRfc3339(to) })

/** The range moved by half its width: -1 into the past, 1 towards now. */
export function shift(bounds: Bounds, direction: -1 | 1): TimeRange | undefined {
  if (bounds.from === undefined || bounds.to === undefined) return undefined
  const step = ((bounds.to - bounds.from) / 2n) * BigInt(direction)
  return absolute(bounds.from + step, bounds.to + step)
}

/** Twice as wide around the same middle. */
export function zoomOut(bounds: Bounds): TimeRange | undefined {
  if (bounds.from === undefined || bounds.to === undefined) return undefined
  const half = (bounds.to - bounds.from) / 2n
  return absolute(bounds.from - half, bounds.to + half)
}

export { isRelative }
