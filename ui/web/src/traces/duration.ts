/** Lengths of time in nanoseconds, as people write them and as the query language reads them. */

const UNITS: [name: string, ns: number][] = [['ns', 1], ['µs', 1e3], ['ms', 1e6], ['s', 1e9]]

/** Three digits are enough to compare: `850 ns`, `1.25 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(ns: number): string {
  if (!(ns > 0)) return '0 ms'
  if (ns >= 3_599.5e9) return both(Math.round(ns / 60e9), 60, 'h', 'min')
  if (ns >= 119.5e9) return both(Math.round(ns / 1e9), 60, 'min', 's')
  for (const [name, size] of UNITS) {
    const text = digits(ns / size)
    if (name === 's' || Number(text) < 1000) return `${text} ${name}`
  }
  return ''
}

/** A moment on an axis whose ticks are `step` apart: as many digits as tell neighbours apart. */
export function formatTick(ns: number, step: number): string {
  if (ns === 0) return '0'
  if (step >= 1e9 && ns >= 119.5e9) return formatDuration(ns)
  const [name, size] = UNITS.findLast(([, unit]) => ns >= unit) ?? UNITS[0]!
  return `${(ns / size).toFixed(Math.max(0, Math.ceil(Math.log10(size / step) - 1e-9)))} ${name}`
}

const digits = (value: number): string => String(Number(value.toPrecision(3)))

function both(units: number, base: number, large: string, small: string): string {
  const rest = units % base
  return `${Math.floor(units / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

const READ: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, min: 60e9, h: 3600e9, d: 86_400e9 }

/** Nanoseconds of `500ms`, `1.5 s`, `1h30m`; a bare number is milliseconds. Undefined when it is no length of time. */
export function readDuration(text: string): number | undefined {
  const written = text.trim().toLowerCase()
  if (/^\d{1,12}(\.\d{1,6})?$/.test(written)) return Math.round(Number(written) * 1e6)
  if (!/^(\d{1,15}(\.\d{1,9})?\s*(ns|us|µs|μs|ms|s|min|m|h|d)\s*)+$/.test(written)) return undefined
  let ns = 0
  for (const [, number, unit] of written.matchAll(/(\d+(?:\.\d+)?)\s*([a-zµμ]+)/g)) ns += Math.round(Number(number) * READ[unit!]!)
  return Number.isSafeInteger(ns) ? ns : undefined
}

/** The shortest exact way to write it in a query: `1500000` is `1500us`. */
export function queryDuration(ns: number): string {
  for (const [name, size] of [['h', 3600e9], ['m', 60e9], ['s', 1e9], ['ms', 1e6], ['us', 1e3]] as const) {
    if (ns >= size && ns % size === 0) return `${ns / size}${name}`
  }
  return `${ns}ns`
}
