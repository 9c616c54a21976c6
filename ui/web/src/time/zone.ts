import { fromMillis, NS_PER_MS, NS_PER_SECOND, toMillis, type Nanos } from './instant'

/** `local`, `utc` or an IANA name. Every function that writes or reads a time takes it explicitly. */
export type Zone = string

export const LOCAL: Zone = 'local'
export const UTC: Zone = 'utc'

export const ianaName = (zone: Zone): string =>
  zone === LOCAL ? Intl.DateTimeFormat().resolvedOptions().timeZone : zone === UTC ? 'UTC' : zone

export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: ianaName(zone) })
    return true
  } catch {
    return false
  }
}

const formats = new Map<string, Intl.DateTimeFormat>()

function wallClockFormat(zone: Zone): Intl.DateTimeFormat {
  const name = ianaName(zone)
  let format = formats.get(name)
  if (!format) {
    format = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    formats.set(name, format)
  }
  return format
}

/** What a clock on the wall of `zone` shows, as the milliseconds that UTC would call the same. */
function wallMillis(ms: number, zone: Zone): number {
  const whole = Math.floor(ms / 1000) * 1000
  const parts: Record<string, number> = {}
  for (const { type, value } of wallClockFormat(zone).formatToParts(whole)) parts[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** Minutes east of UTC at that moment; whole seconds of historic offsets are kept as fractions. */
export function offsetMinutes(time: Nanos, zone: Zone): number {
  if (zone === UTC) return 0
  const ms = toMillis(time)
  return (wallMillis(ms, zone) - Math.floor(ms / 1000) * 1000) / 60_000
}

/** `+01:00`, for the label beside a range and for text that says its own offset. */
export function offsetText(minutes: number): string {
  const size = Math.abs(Math.round(minutes))
  const two = (value: number) => String(value).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** Shown next to every range, so that nobody has to guess. */
export function zoneLabel(zone: Zone, at: Nanos): string {
  if (zone === UTC) return 'UTC'
  return `${ianaName(zone).replaceAll('_', ' ')} ${offsetText(offsetMinutes(at, zone))}`
}

/**
 * The moment at which the wall clock of `zone` shows `wall` (nanoseconds as if UTC). A time that a
 * change to summer time skips is read as the same distance after the change; one that comes twice
 * is its first coming.
 */
export function fromWall(wall: Nanos, zone: Zone): Nanos {
  if (zone === UTC) return wall
  const shift = (minutes: number) => wall - fromMillis(minutes * 60_000)
  const day = 86_400n * NS_PER_SECOND
  // Offsets before and after any change within a day; the true moment uses one of the two.
  const before = offsetMinutes(wall - day, zone)
  const after = offsetMinutes(wall + day, zone)
  for (const candidate of [shift(Math.max(before, after)), shift(Math.min(before, after))]) {
    if (candidate + fromMillis(offsetMinutes(candidate, zone) * 60_000) === wall) return candidate
  }
  return shift(before)
}

/** Wall clock of `zone` as `2026-11-24 09:30:00`, plus `digits` of fraction. */
export function formatTime(time: Nanos, zone: Zone, digits: 0 | 3 | 6 | 9 = 3): string {
  const local = new Date(wallMillis(toMillis(time), zone)).toISOString()
  const fraction = String(((time % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND).padStart(9, '0')
  return `${local.slice(0, 10)} ${local.slice(11, 19)}${digits === 0 ? '' : `.${fraction.slice(0, digits)}`}`
}

/** All digits that the time has, and its offset: what `readTime` reads back to the same moment in any zone. */
export function formatExact(time: Nanos, zone: Zone): string {
  const digits = time % NS_PER_MS === 0n ? 3 : 9
  return `${formatTime(time, zone, digits)}${zone === UTC ? 'Z' : offsetText(offsetMinutes(time, zone))}`
}
