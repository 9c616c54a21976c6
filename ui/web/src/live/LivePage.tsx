/** Live tail: lines as they arrive, the same rows as search; anything that reads pauses it. */
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef, useState, type RefObject } from 'react'
import type { Hit } from '../api/types'
import { t } from '../i18n'
import type { Noun } from '../i18n/en'
import { include, indexIn, withIndex } from '../query/clauses'
import { copyText, Drawer } from '../rows/Drawer'
import { Rows, rowId, type Row } from '../rows/Rows'
import { useOpenTrace } from '../rows/useOpenTrace'
import { useRowKeys } from '../rows/useRowKeys'
import { useWrap } from '../rows/useWrap'
import { columnsOf, columnsText, readAddress, writeQueryString, zoneOf, type SearchAddress } from '../search/address'
import { Chips, QueryError, QueryField } from '../search/QueryField'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { PauseIcon, PlayIcon, SearchIcon, WrapIcon } from '../shell/icons'
import { useKeys } from '../shell/keys'
import { TAIL_ROWS_MAX, useTail, type Tail } from '../tail/useTail'

const route = getRouteApi('/live')

export function LivePage() {
  const address = route.useSearch()
  const navigate = useNavigate()
  const q = address.q ?? ''
  const tail = useTail(q)
  const [active, setActive] = useState<string>()
  const [wrap, toggleWrap] = useWrap()
  const openTrace = useOpenTrace()
  const field = useRef<HTMLInputElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const zone = zoneOf(address)
  const columns = useMemo(() => columnsOf(address), [address])
  const index = indexIn(q)
  const noun = index === 'spans' ? 'span' : 'line'
  const { pause, resume, paused } = tail

  const go = useCallback(
    (change: { [Name in keyof SearchAddress]?: SearchAddress[Name] | undefined }, replace = true) =>
      void navigate({ to: '/live', search: (before) => readAddress({ ...before, ...change }), replace }),
    [navigate],
  )
  const setQuery = (text: string) => {
    resume()
    if (text !== q) go({ q: text }, false)
  }
  const open = useCallback((hit: Hit) => {
    pause()
    go({ line: hit.id })
  }, [go, pause])
  const close = useCallback(() => go({ line: undefined }), [go])
  const activate = useCallback((row: Row) => setActive(rowId(row)), [])
  const setActiveAndPause = (id: string) => {
    pause()
    setActive(id)
  }
  const resumeAtEnd = useCallback(() => {
    setActive(undefined)
    resume()
  }, [resume])

  usePauseOnReading(scroller, pause, paused)
  const link = (hit: Hit): string => `${location.origin}/search${writeQueryString({ q: address.q, from: 'all', line: hit.id })}`
  const { step } = useRowKeys({ rows: tail.rows, active, selected: address.line, setActive: setActiveAndPause, open, close, toggleWrap, copyLink: (hit) => void copyText(link(hit)), openTrace })
  useKeys({ '/': () => field.current?.focus(), Space: () => (paused ? resumeAtEnd() : pause()), End: resumeAtEnd })

  const selected = useMemo(() => {
    const row = tail.rows.find((other) => rowId(other) === address.line)
    return row?.kind === 'hit' ? row.hit : undefined
  }, [tail.rows, address.line])
  return (
    <div className="page search-page">
      <h1 className="hidden">{t.pages.live}</h1>
      <header className="bar">
        <QueryField q={q} onSubmit={setQuery} refusal={tail.refusal} field={field} button={t.live.start} />
        <div className="choice" role="group" aria-label={t.live.index}>
          {([[undefined, t.live.lines], ['spans', t.live.spans]] as const).map(([name, text]) => (
            <button key={text} type="button" aria-pressed={index === name} onClick={() => setQuery(withIndex(field.current?.value ?? q, name))}>{text}</button>
          ))}
        </div>
        <button type="button" className="button" aria-pressed={paused} onClick={paused ? resumeAtEnd : pause} title={`${paused ? t.live.resume : t.live.pause} (Space)`}>
          <PauseIcon />
          <span>{t.live.pause}</span>
        </button>
      </header>
      <Chips q={q} onChange={setQuery} />
      {tail.refusal && (tail.refusal.span ? <QueryError q={q} refusal={tail.refusal} /> : <Failure message={tail.refusal.message} />)}
      {tail.state === 'lost' && <Failure message={t.live.lost(tail.reason)} />}
      <div className="summary">
        <Status tail={tail} noun={noun} />
        <span className="spacer" />
        <Link to="/search" search={readAddress({ q, tz: address.tz, cols: address.cols })} className="button quiet" title={t.live.search}><SearchIcon /><span>{t.pages.search}</span></Link>
        <button type="button" className="button quiet" onClick={tail.clear}>{t.live.clear}</button>
        <button type="button" className="button quiet" aria-pressed={wrap} onClick={toggleWrap} title={`${t.search.wrap} (w)`}><WrapIcon /><span>{t.search.wrap}</span></button>
      </div>
      <div className={address.line ? 'split' : 'split closed'}>
        {tail.rows.length === 0 ? (
          <Empty title={t.live.waiting(noun)} hint={t.live.waitingHint}><p className="faint">{t.live.keeps(TAIL_ROWS_MAX)}</p></Empty>
        ) : (
          <div className="live-rows">
            <Rows
              rows={tail.rows}
              columns={columns}
              zone={zone}
              wrap={wrap}
              label={t.search.rows}
              active={active}
              selected={address.line}
              onActivate={activate}
              onOpen={open}
              scroller={scroller}
              onTrace={openTrace}
              follow={!paused}
            />
            {paused && (
              <div className="pause-bar" role="status">
                <span>{t.live.pausedBar(tail.fresh, tail.freshDropped, noun)}</span>
                <button type="button" className="button primary small" onClick={resumeAtEnd}><PlayIcon />{t.live.resume} <kbd>End</kbd></button>
              </div>
            )}
          </div>
        )}
        {address.line && (
          <Drawer
            id={address.line}
            index={index}
            hit={selected}
            zone={zone}
            columns={columns}
            link={link}
            onClose={close}
            onStep={step}
            onFilter={(name, value, negated) => setQuery(include(field.current?.value ?? q, name, value, negated))}
            onColumn={(name) => go({ cols: columnsText(columns.includes(name) ? columns.filter((other) => other !== name) : [...columns, name], q) })}
          />
        )}
      </div>
    </div>
  )
}

function Status({ tail, noun }: { tail: Tail; noun: Noun }) {
  const state = tail.paused ? t.live.paused : tail.state === 'open' ? t.live.following : t.live.connecting
  return (
    <p className="counts">
      <span className={`state-dot ${tail.paused ? 'paused' : tail.state}`} aria-hidden="true" />
      <b>{tail.state === 'refused' ? '–' : state}</b>
      <span className="faint">{t.live.rate(tail.perSecond, noun)}</span>
      <span className="faint">{t.live.received(tail.received, noun)}</span>
      {tail.dropped > 0 && <span className="warn">{t.live.dropped(tail.dropped)}</span>}
    </p>
  )
}

/** Scrolling up or selecting text means that somebody reads: then nothing may move. */
function usePauseOnReading(scroller: RefObject<HTMLDivElement | null>, pause: () => void, paused: boolean): void {
  useEffect(() => {
    if (paused) return
    let top = scroller.current?.scrollTop ?? 0
    const inside = (node: Node | null) => node !== null && (scroller.current?.contains(node) ?? false)
    const onScroll = (event: Event) => {
      const element = scroller.current
      if (!element || event.target !== element) return
      if (element.scrollTop < top - 4 && element.scrollHeight - element.scrollTop - element.clientHeight > 8) pause()
      top = element.scrollTop
    }
    const onSelect = () => {
      const selection = getSelection()
      if (selection && !selection.isCollapsed && inside(selection.anchorNode)) pause()
    }
    // Scroll events do not bubble; capture sees those of the list, which comes and goes.
    document.addEventListener('scroll', onScroll, { capture: true, passive: true })
    document.addEventListener('selectionchange', onSelect)
    return () => {
      document.removeEventListener('scroll', onScroll, { capture: true })
      document.removeEventListener('selectionchange', onSelect)
    }
  }, [scroller, pause, paused])
}
