/** The waterfall's tab: what is folded, zoomed, searched and chosen, and the keys for it. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { copyText } from '../rows/Drawer'
import { useKeys } from '../shell/keys'
import { zoneOf } from '../search/address'
import type { TraceAddress } from '../traces/address'
import { readDuration } from '../traces/duration'
import { clamp, pan, readView, viewText, zoom, type View } from './axis'
import { criticalPath } from './critical'
import { findSpans } from './find'
import { Minimap } from './Minimap'
import { SpanPanel } from './SpanPanel'
import { Toolbar } from './Toolbar'
import type { Go, SetCollapsed } from './TracePage'
import { STATUS_ERROR, type Trace } from './tree'
import { collapseTo, fold, longerThan, nextWhere, positionOf, reveal, visibleSpans } from './visible'
import { useSettled } from './useSettled'
import { Waterfall } from './Waterfall'

const same = (text: string | undefined): string | undefined => text

interface Props {
  trace: Trace
  colours: Map<string, number>
  collapsed: Uint8Array
  setCollapsed: SetCollapsed
  address: TraceAddress
  go: Go
}

export function Spans({ trace, colours, collapsed, setCollapsed, address, go }: Props) {
  const [chosenId, setChosenId] = useSettled(address.span, same, same, (span) => go({ span }))
  const chosen = chosenId === undefined ? undefined : trace.at.get(chosenId)
  const [active, setActive] = useState(chosen ?? 0)
  useEffect(() => {
    // A link to a span shows it, whatever is folded; later, folding it away is somebody's wish.
    if (chosen === undefined) return
    setCollapsed((before) => reveal(trace, before, chosen))
    setActive(chosen)
  }, [chosen])
  const [view, look] = useSettled<View>(
    address.view,
    (text) => clamp(readView(text) ?? { from: 0, to: trace.duration }, trace.duration),
    (view) => viewText(view, trace.duration),
    (view) => go({ view }),
  )
  const find = useRef<HTMLInputElement>(null)

  const min = readDuration(address.min ?? '')
  const filtered = useMemo(() => (min === undefined ? undefined : longerThan(trace, min)), [trace, min])
  const shown = useMemo(() => visibleSpans(trace, collapsed, filtered?.keep), [trace, collapsed, filtered])
  const matches = useMemo(() => findSpans(trace, address.find ?? ''), [trace, address.find])
  const path = useMemo(() => (address.path ? criticalPath(trace) : undefined), [trace, address.path])

  const choose = useCallback(
    (at: number) => {
      setActive(at)
      setChosenId(trace.ids[at])
    },
    [setChosenId, trace],
  )
  const close = () => setChosenId(undefined)
  /** To a span wherever it is: unfolded, let through the filter, and followed by open details. */
  const goTo = useCallback(
    (at: number) => {
      setCollapsed((before) => reveal(trace, before, at))
      setActive(at)
      if (filtered?.keep[at] === 0) go({ min: undefined })
      if (chosen !== undefined) setChosenId(trace.ids[at])
      if (trace.start[at]! > view.to || trace.start[at]! + trace.length[at]! < view.from) look(clamp({ from: 0, to: trace.duration }, trace.duration))
    },
    [trace, filtered, chosen, go, setChosenId, setCollapsed, view, look],
  )
  const step = (direction: 1 | -1) => {
    const { position, found } = positionOf(shown, active)
    const to = shown[Math.max(0, Math.min(shown.length - 1, found ? position + direction : direction === 1 ? position : position - 1))]
    if (to === undefined) return
    setActive(to)
    if (chosen !== undefined) setChosenId(trace.ids[to])
  }
  const error = (direction: 1 | -1) => {
    const to = nextWhere(trace.count, active, direction, (at) => trace.status[at] === STATUS_ERROR)
    if (to !== undefined) goTo(to)
  }
  const match = (direction: 1 | -1) => {
    if (matches.length === 0) return
    const { position, found } = positionOf(matches, active)
    const to = direction === 1 ? (found ? position + 1 : position) : position - 1
    goTo(matches[(to + matches.length) % matches.length]!)
  }
  const setFolded = useCallback(
    (at: number, folded: boolean, whole = false) => {
      setCollapsed((before) => fold(trace, before, at, folded, whole))
      // What is folded away cannot be where the keyboard is.
      if (folded) setActive((before) => (before > at && before < at + trace.size[at]! ? at : before))
    },
    [trace, setCollapsed],
  )
  const level = (depth: number) => {
    const next = collapseTo(trace, depth)
    setCollapsed(() => next)
    setActive((before) => {
      let at = before
      for (let up = trace.parent[before]!; up >= 0; up = trace.parent[up]!) if (next[up]) at = up
      return at
    })
  }
  const expandAll = () => setCollapsed(() => new Uint8Array(trace.count))
  const scale = (factor: number) => look(zoom(view, factor, (view.from + view.to) / 2, trace.duration))
  const zoomTo = (at: number) => {
    const margin = Math.max(50, trace.length[at]! * 0.05)
    look(clamp({ from: trace.start[at]! - margin, to: trace.start[at]! + trace.length[at]! + margin }, trace.duration))
  }
  const whole = () => look(clamp({ from: 0, to: trace.duration }, trace.duration))

  useKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    h: () => left(),
    l: () => setFolded(active, false),
    ArrowLeft: () => left(),
    ArrowRight: () => setFolded(active, false),
    H: () => level(1),
    L: expandAll,
    Enter: () => choose(active),
    Escape: close,
    e: () => error(1),
    E: () => error(-1),
    n: () => match(1),
    N: () => match(-1),
    p: () => go({ path: address.path ? undefined : 'critical' }),
    z: () => zoomTo(active),
    Z: whole,
    '[': () => look(pan(view, (view.from - view.to) / 4, trace.duration)),
    ']': () => look(pan(view, (view.to - view.from) / 4, trace.duration)),
    y: () => void copyText(`${location.origin}/traces/${trace.id}?span=${trace.ids[active]}`),
    '/': () => find.current?.focus(),
    ...Object.fromEntries(Array.from({ length: 9 }, (_, at) => [String(at + 1), () => level(at + 1)])),
  })
  /** As in every tree: folds, and from what is folded already steps to its parent. */
  const left = () => {
    if (trace.size[active]! > 1 && !collapsed[active]) return setFolded(active, true)
    const parent = trace.parent[active]!
    if (parent >= 0) goTo(parent)
  }

  return (
    <>
      <Toolbar
        trace={trace}
        address={address}
        go={go}
        field={find}
        matches={matches.length}
        matchAt={positionOf(matches, active).found ? positionOf(matches, active).position + 1 : 0}
        hidden={filtered?.hidden ?? 0}
        onMatch={match}
        onError={error}
        onLevel={level}
        onExpandAll={expandAll}
        onScale={scale}
        onWhole={whole}
      />
      <Minimap trace={trace} colours={colours} view={view} onView={look} />
      <div className={chosenId === undefined ? 'split closed' : 'split'}>
        <Waterfall
          trace={trace}
          colours={colours}
          shown={shown}
          collapsed={collapsed}
          view={view}
          active={active}
          chosen={chosen}
          matches={matches}
          path={path}
          onChoose={choose}
          onFold={setFolded}
          onView={look}
        />
        {chosenId !== undefined && (
          <SpanPanel trace={trace} spanId={chosenId} at={chosen} colours={colours} zone={zoneOf(address)} path={path} go={go} onClose={close} onStep={step} onGoTo={goTo} onZoom={zoomTo} />
        )}
      </div>
    </>
  )
}
