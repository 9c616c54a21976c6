import { en, type Texts } from './en'

/** The texts in use. Chinese follows as `const zh: Texts`; until then there is one language. */
export const t: Texts = en

export const formatCount = (value: number): string => value.toLocaleString(t.locale)

/** Short and exact enough to compare at a glance: 999, 1.2k, 3.4M. */
export const formatShort = (value: number): string =>
  new Intl.NumberFormat(t.locale, { notation: 'compact', maximumFractionDigits: 1 }).format(value)

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`
}

/** `12 s`, `3 min`, `2 h`, `5 d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, ms / 1000)
  const format = (value: number, unit: string) => new Intl.NumberFormat(t.locale, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 0 }).format(Math.floor(value))
  if (seconds < 90) return format(seconds, 'second')
  if (seconds < 5400) return format(seconds / 60, 'minute')
  return seconds < 172_800 ? format(seconds / 3600, 'hour') : format(seconds / 86_400, 'day')
}
