/**
 * The query text's outermost clauses, and edits on them.
 *
 * The text is the only state: filters shown as chips are read out of it and written back into it.
 * This knows just enough of the server's grammar to find where clauses begin and end (quotes,
 * regexes, brackets, keywords); what a clause means is the server's business.
 */

export interface Clause {
  /** Where the clause stands in the text, with its negation. */
  from: number
  to: number
  negated: boolean
  /** Set for `field:value`; a clause without is free text. */
  field: string | undefined
  /** As written, quotes included. */
  value: string
}

interface Token {
  from: number
  to: number
  kind: 'and' | 'or' | 'not' | 'clause'
}

/** Undefined where brackets or quotes do not close: then nothing can be said about clauses. */
function tokens(text: string): Token[] | undefined {
  const found: Token[] = []
  let at = 0
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++
      continue
    }
    // Pipes begin: what follows works on what was found, and holds no filters.
    if (text[at] === '|') break
    const end = clauseEnd(text, at)
    if (end === undefined) return undefined
    const word = text.slice(at, end)
    const kind = word === 'AND' ? 'and' : word === 'OR' ? 'or' : word === 'NOT' ? 'not' : 'clause'
    found.push({ from: at, to: end, kind })
    at = end
  }
  return found
}

function clauseEnd(text: string, start: number): number | undefined {
  let at = start
  let depth = 0
  // A quote, a regex or a bracket opens only where a value can begin: `it's` and `a/b` are words.
  let valueStarts = true
  while (at < text.length) {
    const char = text[at]!
    if (char === '\\') {
      at += 2
      valueStarts = false
    } else if (char === '"' || (char === '/' && valueStarts)) {
      const close = closing(text, at)
      if (close === undefined) return undefined
      at = close + 1
      valueStarts = false
    } else if (char === '(' || ((char === '[' || char === '{') && valueStarts)) {
      depth++
      at++
      valueStarts = true
    } else if ((char === ')' || char === ']' || char === '}') && depth > 0) {
      depth--
      at++
      valueStarts = false
    } else if (char === ')') {
      return undefined
    } else if (char === '|') {
      return depth === 0 ? at : undefined
    } else if (/\s/.test(char)) {
      if (depth === 0) return at
      at++
      valueStarts = true
    } else {
      valueStarts = char === ':' || (char === '-' && at === start)
      at++
    }
  }
  return depth === 0 ? text.length : undefined
}

function closing(text: string, open: number): number | undefined {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === text[open]) return at
  }
  return undefined
}

/** Clauses that all must hold; undefined when the outermost level is an `OR`, or the text is broken. */
export function clauses(text: string): Clause[] | undefined {
  const all = tokens(text)
  if (!all || all.some((token) => token.kind === 'or')) return undefined
  const found: Clause[] = []
  let negatedFrom: number | undefined
  for (const token of all) {
    if (token.kind === 'and') continue
    if (token.kind === 'not') {
      negatedFrom ??= token.from
      continue
    }
    const written = text.slice(token.from, token.to)
    const dashed = written.length > 1 && written.startsWith('-')
    const match = /^([\p{L}_][\p{L}\p{N}_.\-@]*):(.+)$/su.exec(dashed ? written.slice(1) : written)
    found.push({
      from: negatedFrom ?? token.from,
      to: token.to,
      negated: dashed !== (negatedFrom !== undefined),
      field: match?.[1],
      value: match ? match[2]! : dashed ? written.slice(1) : written,
    })
    negatedFrom = undefined
  }
  return found
}

/** The clauses that are shown as chips. */
export const chips = (text: string): Clause[] => (clauses(text) ?? []).filter((clause) => clause.field !== undefined)

/** A value as it must be written after a colon: quoted unless it is plainly one word. */
export function quote(value: string): string {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(value)) return value
  return `"${value.replace(/[\\"]/g, '\\$&')}"`
}

export const clauseText = (field: string, value: string, negated = false): string => `${negated ? '-' : ''}${field}:${quote(value)}`

const unquoted = (value: string): string => (/^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value)

/** What a chip shows for its value. */
export const shownValue = (clause: Clause): string => unquoted(clause.value)

/** The index that the text names; undefined where it leaves that to whoever asks. */
export const indexIn = (text: string): string | undefined => {
  const named = clauses(text)?.find((clause) => clause.field === 'index' && !clause.negated)
  return named && shownValue(named)
}

/** The text with another index, or with none. */
export function withIndex(text: string, index: string | undefined): string {
  const [filter, pipes] = cutPipes(text)
  let rest = filter
  for (const clause of (clauses(filter) ?? []).reverse()) if (clause.field === 'index') rest = remove(rest, clause)
  return join(index === undefined ? rest : include(rest, 'index', index), pipes)
}

/** The filter and the pipes after it, which are empty or begin with `|`. */
export function cutPipes(text: string): [filter: string, pipes: string] {
  const all = tokens(text)
  if (!all) return [text, '']
  const at = text.indexOf('|', all.at(-1)?.to ?? 0)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)]
}

/** Adds a filter. The opposite of it goes; the same one is not said twice. */
export function include(text: string, field: string, value: string, negated = false): string {
  const [filter, pipes] = cutPipes(text)
  if (pipes !== '') return join(include(filter, field, value, negated), pipes)
  const rest = clauses(text)
  if (!rest) {
    const trimmed = text.trim()
    return trimmed === '' ? clauseText(field, value, negated) : `(${trimmed}) ${clauseText(field, value, negated)}`
  }
  let kept = text
  for (const clause of [...rest].reverse()) {
    if (clause.field === field && unquoted(clause.value) === value) kept = remove(kept, clause)
  }
  return join(kept.trim() === '*' ? '' : kept, clauseText(field, value, negated))
}

/** Takes one clause out, and the `AND` that bound it. */
export function remove(text: string, clause: Clause): string {
  const before = text.slice(0, clause.from).trimEnd()
  const after = text.slice(clause.to).trimStart()
  const first = /(^|\s)AND$/.test(before) ? before.slice(0, -3).trimEnd() : before
  const rest = first === '' ? after.replace(/^AND\s+/, '') : after
  return join(first, rest)
}

/** Turns `level:error` into `-level:error` and back. */
export function negate(text: string, clause: Clause): string {
  const written = `${clause.negated ? '' : '-'}${clause.field === undefined ? '' : `${clause.field}:`}${clause.value}`
  return text.slice(0, clause.from) + written + text.slice(clause.to)
}

const join = (...parts: string[]): string => parts.map((part) => part.trim()).filter(Boolean).join(' ')

/** Where a byte offset of the server stands in a string of this language. */
export function fromByteOffset(text: string, bytes: number): number {
  let seen = 0
  let at = 0
  for (const char of text) {
    if (seen >= bytes) break
    const code = char.codePointAt(0)!
    seen += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    at += char.length
  }
  return at
}
