/**
 * A point in time: nanoseconds since the epoch. A `number` would lose the last digits (2^53 ns is
 * 104 days), so it is a bigint in memory and a decimal string or RFC 3339 in URLs and answers.
 */
export type Nanos = bigint

export const NS_PER_MS = 1_000_000n
export const NS_PER_SECOND = 1_000_000_000n

export const fromMillis = (ms: number): Nanos => BigInt(Math.round(ms)) * NS_PER_MS

/** Milliseconds, rounded down; for `Date` and charts. */
export const toMillis = (time: Nanos): number => Number((time - (((time % NS_PER_MS) + NS_PER_MS) % NS_PER_MS)) / NS_PER_MS)

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*([Zz]|[+-]\d\d:?\d\d)?)?$/

export interface WrittenTime {
  /** As if the text were UTC. */
  nanos: Nanos
  /** The offset that the text itself states, in minutes east; undefined when it states none. */
  offsetMinutes: number | undefined
}

/** Reads `2026-11-24`, `2026-11-24 09:30`, `2026-11-24T09:30:00.123456789+08:00`; undefined when it is none. */
export function readWritten(text: string): WrittenTime | undefined {
  const match = RFC3339.exec(text.trim())
  if (!match) return undefined
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone] = match
  const parts = [year, month, day, hour, minute, second].map(Number) as [number, number, number, number, number, number]
  const ms = Date.UTC(parts[0], parts[1] - 1, parts[2], parts[3], parts[4], parts[5])
  const date = new Date(ms)
  // `Date` rolls 31 February over into March; a typed date that does not exist is a mistake.
  const exists =
    date.getUTCMonth() === parts[1] - 1 && date.getUTCDate() === parts[2] && date.getUTCHours() === parts[3] && parts[4] < 60 && parts[5] < 60
  if (!exists) return undefined
  const nanos = BigInt(ms) * NS_PER_MS + BigInt(fraction.padEnd(9, '0') || '0')
  if (zone === undefined) return { nanos, offsetMinutes: undefined }
  if (zone === 'Z' || zone === 'z') return { nanos, offsetMinutes: 0 }
  const digits = zone.replace(':', '')
  const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5))
  return { nanos, offsetMinutes: zone.startsWith('-') ? -minutes : minutes }
}

/** RFC 3339 in UTC with as many fraction digits as are needed, at least `digits`. */
export function toRfc3339(time: Nanos, digits = 0): string {
  const ms = toMillis(time)
  const fraction = String(((time % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND).padStart(9, '0')
  const needed = Math.max(digits, fraction.replace(/0+$/, '').length)
  return new Date(ms).toISOString().slice(0, 19) + (needed > 0 ? `.${fraction.slice(0, needed)}` : '') + 'Z'
}

/** Nanoseconds of a timestamp in an answer of the API. */
export function fromRfc3339(text: string): Nanos {
  const written = readWritten(text)
  if (!written) return 0n
  return written.nanos - BigInt(written.offsetMinutes ?? 0) * 60n * NS_PER_SECOND
}
