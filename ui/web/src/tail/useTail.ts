/**
 * The live tail as state: a ring of rows that fills, and a view of it that can be frozen.
 *
 * Rows arrive in messages and are shown once per frame. While paused they go into the ring all the
 * same and are counted; the view stays as it is, so nothing moves under who reads or copies.
 */
import { useCallback, useEffect, useRef, useState } from 'react'
import { refusalOf, Refusal } from '../api/client'
import { parseExact } from '../api/json'
import type { Hit } from '../api/types'
import { t } from '../i18n'
import type { Row } from '../rows/Rows'
import { writeQueryString } from '../search/address'
import { EventParser, type ServerEvent } from './events'
import { Ring } from './ring'

export const TAIL_ROWS_MAX = 10_000
const RECONNECT_MS = 1000
const RATE_WINDOW_MS = 5000

export interface Tail {
  rows: Row[]
  state: 'connecting' | 'open' | 'lost' | 'refused'
  refusal: Refusal | undefined
  reason: string
  paused: boolean
  /** Since the pause. */
  fresh: number
  freshDropped: number
  /** Since the start. */
  received: number
  dropped: number
  perSecond: number
  pause: () => void
  resume: () => void
  clear: () => void
}

interface Counters {
  received: number
  dropped: number
  pausedAt: { received: number; dropped: number } | undefined
  arrivals: { at: number; count: number }[]
}

export function useTail(q: string): Tail {
  const ring = useRef(new Ring<Row>(TAIL_ROWS_MAX))
  const counters = useRef<Counters>({ received: 0, dropped: 0, pausedAt: undefined, arrivals: [] })
  const marks = useRef(0)
  const before = useRef<string>(undefined)
  const [rows, setRows] = useState<Row[]>([])
  const [, setTick] = useState(0)
  const [state, setState] = useState<Tail['state']>('connecting')
  const [refusal, setRefusal] = useState<Refusal>()
  const [reason, setReason] = useState('')
  const frame = useRef(0)

  /** Draws what has arrived, at most once a frame. */
  const flush = useCallback(() => {
    if (frame.current !== 0) return
    frame.current = requestAnimationFrame(() => {
      frame.current = 0
      if (counters.current.pausedAt === undefined) setRows(ring.current.toArray())
      setTick((tick) => tick + 1)
    })
  }, [])

  const mark = useCallback((text: string, tone: 'plain' | 'warn') => {
    ring.current.push({ kind: 'mark', id: `mark-${marks.current++}`, text, tone })
    flush()
  }, [flush])

  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let opened = false
    if (before.current !== undefined && before.current !== q) mark(t.live.restarted(q === '' ? '*' : q), 'plain')
    before.current = q

    const take = ({ event, data }: ServerEvent) => {
      const counts = counters.current
      if (event === 'open') {
        setState('open')
        if (opened) mark(t.live.reconnected, 'warn')
        opened = true
      } else if (event === 'hits') {
        const hits = parseExact(data) as Hit[]
        for (const hit of hits) ring.current.push({ kind: 'hit', hit })
        counts.received += hits.length
        counts.arrivals.push({ at: performance.now(), count: hits.length })
        flush()
      } else if (event === 'dropped') {
        const { dropped } = JSON.parse(data) as { dropped: number }
        counts.dropped += dropped
        mark(t.live.gap(dropped), 'warn')
      } else if (event === 'failed') {
        throw new Error((JSON.parse(data) as { error: { message: string } }).error.message)
      } else if (event === 'end') {
        throw new Error('the server stopped')
      }
    }

    const connect = async () => {
      try {
        const response = await fetch(`/api/v1/tail${writeQueryString({ q })}`, { signal: abort.signal })
        if (!response.ok || !response.body) {
          const refused = await refusalOf(response)
          if (response.status < 500) {
            setRefusal(refused)
            setState('refused')
            return
          }
          throw refused
        }
        const parser = new EventParser()
        const text = response.body.pipeThrough(new TextDecoderStream())
        const reader = text.getReader()
        for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value).forEach(take)
        throw new Error('the server ended the stream')
      } catch (error) {
        if (abort.signal.aborted) return
        setReason(error instanceof TypeError ? 'the server does not answer' : error instanceof Error ? error.message : String(error))
        setState('lost')
        timer = setTimeout(() => void connect(), RECONNECT_MS)
      }
    }
    setState('connecting')
    setRefusal(undefined)
    void connect()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [q, flush, mark])

  // The rate falls when nothing arrives, so it needs a clock of its own.
  useEffect(() => {
    const clock = setInterval(flush, 1000)
    return () => {
      clearInterval(clock)
      cancelAnimationFrame(frame.current)
      frame.current = 0
    }
  }, [flush])

  const pause = useCallback(() => {
    const counts = counters.current
    counts.pausedAt ??= { received: counts.received, dropped: counts.dropped }
    flush()
  }, [flush])
  const resume = useCallback(() => {
    counters.current.pausedAt = undefined
    flush()
  }, [flush])
  const clear = useCallback(() => {
    ring.current.clear()
    setRows([])
    flush()
  }, [flush])

  const counts = counters.current
  const since = performance.now() - RATE_WINDOW_MS
  while (counts.arrivals.length > 0 && counts.arrivals[0]!.at < since) counts.arrivals.shift()
  const recent = counts.arrivals.reduce((sum, arrival) => sum + arrival.count, 0)
  return {
    rows,
    state,
    refusal,
    reason,
    paused: counts.pausedAt !== undefined,
    fresh: counts.received - (counts.pausedAt?.received ?? counts.received),
    freshDropped: counts.dropped - (counts.pausedAt?.dropped ?? counts.dropped),
    received: counts.received,
    dropped: counts.dropped,
    perSecond: (recent * 1000) / RATE_WINDOW_MS,
    pause,
    resume,
    clear,
  }
}
