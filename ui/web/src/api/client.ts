/** Asks the API. Every refusal becomes a `Refusal`, with the place in the query where it says one. */
import { writeQueryString } from '../search/address'
import { parseExact } from './json'
import type { Alert, Hit, HistoryEntry, Pipeline, Receiver, Rule, SearchAnswer } from './types'

export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** Bytes of the query text. */
    readonly span?: { from: number; to: number },
  ) {
    super(message)
  }
}

export async function refusalOf(response: Response): Promise<Refusal> {
  const fallback = `${response.status} ${response.statusText}`
  try {
    const { error } = (await response.json()) as { error: { message: string; from?: number; to?: number } }
    const span = error.from !== undefined && error.to !== undefined ? { from: error.from, to: error.to } : undefined
    return new Refusal(error.message, response.status, span)
  } catch {
    return new Refusal(fallback, response.status)
  }
}

export async function get<T>(path: string, params: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
  let response: Response
  try {
    response = await fetch(`/api/v1/${path}${writeQueryString(params)}`, signal ? { signal } : {})
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new Refusal('the server does not answer; is logboom running?', 0)
  }
  if (!response.ok) throw await refusalOf(response)
  return parseExact(await response.text()) as T
}

export interface SearchQuestion {
  q: string
  index?: string | undefined
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  order?: string | undefined
  cursor?: string | undefined
  histogram?: number | undefined
  full?: 1 | undefined
}

export const search = (question: SearchQuestion, signal?: AbortSignal) => get<SearchAnswer>('search', { ...question }, signal)

/** One event by its id, which its index gave it; undefined when it is gone. */
export async function event(id: string, index: string | undefined, full: boolean, signal?: AbortSignal): Promise<Hit | undefined> {
  const answer = await search({ q: `id:${id}`, index, limit: 1, full: full ? 1 : undefined }, signal)
  return answer.hits[0]
}

export const alerts = async (signal?: AbortSignal) => (await get<{ alerts: Alert[] }>('alerts', {}, signal)).alerts
export const rules = async (signal?: AbortSignal) => (await get<{ rules: Rule[] }>('rules', {}, signal)).rules
export const history = async (signal?: AbortSignal) => (await get<{ history: HistoryEntry[] }>('history', {}, signal)).history
export const receivers = async (signal?: AbortSignal) => (await get<{ receivers: Receiver[] }>('receivers', {}, signal)).receivers
export const pipeline = (signal?: AbortSignal) => get<Pipeline>('pipeline', {}, signal)
