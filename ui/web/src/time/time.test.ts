import { describe, expect, test } from 'vitest'
import { fromRfc3339, readWritten, toMillis, toRfc3339, type Nanos } from './instant'
import { absolute, readRange, readTime, resolve, shift, zoomOut } from './range'
import { formatExact, formatTime, fromWall, isZone, offsetText, UTC } from './zone'

const NOW = fromRfc3339('2026-11-25T01:00:00Z')
const HOUR = 3_600_000_000_000n
const ZONES = [UTC, 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Asia/Shanghai']

describe('moments', () => {
  test('nanoseconds survive writing and reading', () => {
    for (const text of ['2026-11-25T01:00:00Z', '2026-11-25T01:00:00.000000001Z', '1969-12-31T23:59:59.999999999Z', '2262-04-11T23:47:16.854775807Z']) {
      expect(toRfc3339(fromRfc3339(text))).toBe(text)
    }
    expect(toMillis(-1n)).toBe(-1)
  })

  test('a date that does not exist is refused', () => {
    for (const text of ['2026-02-30', '2026-13-01', '2026-11-25 24:00', '2026-11-25 10:61', 'soon', '']) {
      expect(readWritten(text), text).toBeUndefined()
    }
  })
})

describe('zones', () => {
  test('what is formatted reads back to the same moment, through every change of the clocks', () => {
    // A small generator with a fixed seed: the same 2,000 moments each run.
    let state = 42n
    const next = (): Nanos => (state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n)) >> 1n
    const year = 365n * 24n * HOUR
    for (const zone of ZONES) {
      for (let round = 0; round < 2000; round++) {
        const time = NOW - 3n * year + (next() % (4n * year))
        expect(readTime(formatExact(time, zone), zone, NOW), `${zone} ${time}`).toBe(time)
      }
    }
  })

  test('the day the clocks change, hour by hour', () => {
    for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) {
      for (const day of ['2026-03-08', '2026-03-29', '2026-04-05', '2026-10-04', '2026-10-25', '2026-11-01']) {
        const start = fromRfc3339(`${day}T00:00:00Z`) - 12n * HOUR
        for (let quarter = 0n; quarter < 192n; quarter++) {
          const time = start + (quarter * HOUR) / 4n
          expect(readTime(formatExact(time, zone), zone, NOW)).toBe(time)
        }
      }
    }
  })

  test('a wall time that comes twice is its first coming, one that is skipped lies after the gap', () => {
    const wall = (text: string) => readWritten(text)!.nanos
    expect(toRfc3339(fromWall(wall('2026-10-25 02:30'), 'Europe/Berlin'))).toBe('2026-10-25T00:30:00Z')
    expect(toRfc3339(fromWall(wall('2026-03-29 02:30'), 'Europe/Berlin'))).toBe('2026-03-29T01:30:00Z')
    expect(toRfc3339(fromWall(wall('2026-07-01 12:00'), 'Europe/Berlin'))).toBe('2026-07-01T10:00:00Z')
  })

  test('formats are of the named zone', () => {
    expect(formatTime(NOW, 'Asia/Shanghai', 0)).toBe('2026-11-25 09:00:00')
    expect(formatTime(NOW + 1n, UTC, 9)).toBe('2026-11-25 01:00:00.000000001')
    expect(formatExact(NOW, 'America/New_York')).toBe('2026-11-24 20:00:00.000-05:00')
    expect(offsetText(345)).toBe('+05:45')
    expect([isZone('Asia/Shanghai'), isZone('utc'), isZone('Mars/Base')]).toEqual([true, true, false])
  })
})

describe('typed times', () => {
  test('the same text means what the server reads', () => {
    const ago = (nanos: Nanos) => NOW - nanos
    const cases: [string, Nanos][] = [
      ['15m', ago(HOUR / 4n)],
      ['2h ago', ago(2n * HOUR)],
      ['last 2 hours', ago(2n * HOUR)],
      ['now-1h30m', ago((3n * HOUR) / 2n)],
      ['now', NOW],
      ['1764032400', fromRfc3339('2025-11-25T01:00:00Z')],
      ['1764032400000', fromRfc3339('2025-11-25T01:00:00Z')],
      ['1764032400000000000', fromRfc3339('2025-11-25T01:00:00Z')],
      ['2026-11-25T01:00:00+08:00', ago(8n * HOUR)],
    ]
    for (const [text, time] of cases) expect(readTime(text, UTC, NOW), text).toBe(time)
    for (const text of ['soon', '1y', 'now-', '']) expect(readTime(text, UTC, NOW), text).toBeUndefined()
  })

  test('a time without an offset is the chosen zone’s', () => {
    expect(toRfc3339(readTime('2026-11-25 09:00', 'Asia/Shanghai', NOW)!)).toBe('2026-11-25T01:00:00Z')
    expect(toRfc3339(readTime('9:05', 'Asia/Shanghai', NOW)!)).toBe('2026-11-25T01:05:00Z')
  })
})

describe('typed ranges', () => {
  test('one field reads spans, pairs and single moments', () => {
    expect(readRange('15m', UTC, NOW)).toEqual({ from: '15m', to: 'now' })
    expect(readRange('now-2h to now-1h', UTC, NOW)).toEqual({ from: 'now-2h', to: 'now-1h' })
    expect(readRange('00:10-00:40', UTC, NOW)).toEqual({ from: '2026-11-25T00:10:00Z', to: '2026-11-25T00:40:00Z' })
    expect(readRange('2026-11-24 – 2026-11-25', UTC, NOW)).toEqual({ from: '2026-11-24T00:00:00Z', to: '2026-11-25T00:00:00Z' })
    expect(readRange('2026-11-24 10:00 - 2026-11-24 11:00', 'Europe/Berlin', NOW)).toEqual({ from: '2026-11-24T09:00:00Z', to: '2026-11-24T10:00:00Z' })
    expect(readRange('2026-11-24', UTC, NOW)).toEqual({ from: '2026-11-24T00:00:00Z', to: 'now' })
    expect(readRange('all', UTC, NOW)).toEqual({ from: 'all', to: 'now' })
    for (const text of ['', 'soon', '11:00 - 10:00', 'now to now-1h']) expect(readRange(text, UTC, NOW), text).toBeUndefined()
  })

  test('resolving leaves all time open on both sides', () => {
    expect(resolve({ from: 'all', to: 'now' }, UTC, NOW)).toEqual({ from: undefined, to: undefined })
    expect(resolve({ from: '15m', to: 'now' }, UTC, NOW)).toEqual({ from: NOW - HOUR / 4n, to: NOW })
    expect(resolve({ from: 'now', to: '15m' }, UTC, NOW)).toBeUndefined()
  })

  test('shift and zoom keep the width and the middle', () => {
    const bounds = { from: NOW - HOUR, to: NOW }
    expect(shift(bounds, -1)).toEqual(absolute(NOW - (3n * HOUR) / 2n, NOW - HOUR / 2n))
    expect(zoomOut(bounds)).toEqual(absolute(NOW - (3n * HOUR) / 2n, NOW + HOUR / 2n))
    expect(zoomOut({ from: undefined, to: NOW })).toBeUndefined()
  })
})
