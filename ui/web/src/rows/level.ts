/** Levels in order of severity, `none` last; colours are CSS variables of the same names. */
export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'none'] as const
export type Level = (typeof LEVELS)[number]

export const levelOf = (name: string | null | undefined): Level =>
  (LEVELS as readonly string[]).includes(name ?? '') ? (name as Level) : 'none'

export const isError = (name: string | null | undefined): boolean => name === 'error' || name === 'fatal'
