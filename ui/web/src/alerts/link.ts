/** From an alert to the lines that raised it: the rule's condition as a query, over the episode. */
import type { Rule } from '../api/types'
import { clauseText } from '../query/clauses'
import { readSpan } from '../time/range'
import { fromRfc3339, NS_PER_SECOND, toRfc3339 } from '../time/instant'

interface Episode {
  labels: Record<string, string>
  starts_at: string
  /** Where the episode ends as far as is known. */
  until?: string | null | undefined
}

/** Margin on both sides, so that what led to it is seen too. */
const AROUND = 30n * NS_PER_SECOND

export function searchFor(rule: Rule | undefined, episode: Episode): { q: string; from: string; to: string } {
  const start = fromRfc3339(episode.starts_at)
  const end = episode.until ? fromRfc3339(episode.until) : start
  const within = readSpan(rule?.within ?? '') ?? 60n * NS_PER_SECOND
  return {
    q: rule ? joined([...conditions(rule), ...groups(rule, episode)]) : '*',
    from: toRfc3339(start - within - AROUND),
    to: toRfc3339((end > start ? end : start) + AROUND),
  }
}

/** Spans are looked at as traces. */
export const isOfSpans = (rule: Rule | undefined): boolean => rule?.index === 'spans'

/** The condition alone, for a rule that has not fired. */
export const queryOf = (rule: Rule): string => joined(conditions(rule))

function conditions(rule: Rule): string[] {
  const parts: string[] = []
  // The pages of lines and of traces each have their index; any other must be named.
  if (rule.index && rule.index !== 'logs' && !isOfSpans(rule)) parts.push(clauseText('index', rule.index))
  if (rule.query) parts.push(rule.query)
  if (rule.regex) parts.push(`/${rule.regex.replace(/\\\/|\//g, '\\/')}/`)
  // What is above the limit is what the alert is about; the others are only what it was judged by.
  if (rule.quantile) parts.push(`${rule.quantile.field}:>${rule.quantile.above}`)
  return parts
}

/** Brackets only where juxtaposition would bind tighter than what is inside. */
const joined = (parts: string[]): string => (parts.length === 1 ? parts[0]! : parts.map((part) => (/\bOR\b/.test(part) && !part.startsWith('/') ? `(${part})` : part)).join(' ') || '*')

const groups = (rule: Rule, episode: Episode): string[] =>
  rule.group_by.filter((name) => episode.labels[name] !== undefined).map((name) => clauseText(name, episode.labels[name]!))
