/** The time range: one field that reads what people type, presets, the zone, and steps around. */
import { Popover } from 'radix-ui'
import { useState } from 'react'
import { t } from '../i18n'
import { ClockIcon, DownIcon, LeftIcon, RightIcon, ZoomOutIcon } from '../shell/icons'
import { useKeys } from '../shell/keys'
import { fromMillis } from '../time/instant'
import { ALL_TIME, isRelative, PRESETS, readRange, readTime, resolve, shift, zoomOut, type Bounds, type TimeRange } from '../time/range'
import { formatTime, ianaName, LOCAL, UTC, zoneLabel, type Zone } from '../time/zone'

interface Props {
  range: TimeRange
  zone: Zone
  bounds: Bounds | undefined
  onRange: (range: TimeRange) => void
  onZone: (zone: Zone) => void
}

export function rangeText(range: TimeRange, zone: Zone): string {
  if (range.from === 'all') return t.time.all
  const spans = t.time.spans[range.from]
  if (range.to === 'now' && spans) return t.time.last(spans)
  if (range.to === 'now' && isRelative(range.from) && !range.from.startsWith('now')) return t.time.last(range.from)
  const now = fromMillis(Date.now())
  const end = (text: string): string => {
    if (isRelative(text)) return text
    const time = readTime(text, zone, now)
    return time === undefined ? text : formatTime(time, zone, 0)
  }
  const [from, to] = [end(range.from), end(range.to)]
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) && from.length === 19 ? to.slice(11) : to}`
}

export function TimeField({ range, zone, bounds, onRange, onZone }: Props) {
  const [open, setOpen] = useState(false)
  const now = fromMillis(Date.now())
  const apply = (next: TimeRange | undefined) => next && onRange(next)
  // Open ends have nothing to shift; the range that would be searched now stands in.
  const concrete = bounds ?? resolve(range, zone, now)
  const steps = {
    back: () => apply(concrete && shift(concrete, -1)),
    forward: () => apply(concrete && shift(concrete, 1)),
    out: () => apply(concrete && zoomOut(concrete)),
  }
  useKeys({ t: () => setOpen(true), '[': steps.back, ']': steps.forward, Z: steps.out })
  return (
    <div className="time">
      <button type="button" className="button icon-only first" aria-label={t.time.back} title={`${t.time.back} ([)`} onClick={steps.back}><LeftIcon /></button>
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger className="button time-button" aria-label={`${t.time.label}: ${rangeText(range, zone)}, ${zoneLabel(zone, now)}`} title={`${t.time.label} (t)`}>
          <ClockIcon />
          <span>{rangeText(range, zone)}</span>
          <span className="zone">{zone === UTC ? 'UTC' : zoneLabel(zone, concrete?.to ?? now)}</span>
          <DownIcon />
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Content className="popover time-popover" align="end" sideOffset={6} aria-label={t.time.label}>
            <TypedRange range={range} zone={zone} onRange={(next) => { onRange(next); setOpen(false) }} />
            <h3>{t.time.presets}</h3>
            <div className="presets">
              {PRESETS.map((preset) => (
                <button key={preset} type="button" aria-pressed={range.from === preset && range.to === 'now'} onClick={() => { onRange({ from: preset, to: 'now' }); setOpen(false) }}>
                  {t.time.last(t.time.spans[preset]!)}
                </button>
              ))}
              <button type="button" aria-pressed={range.from === 'all'} onClick={() => { onRange(ALL_TIME); setOpen(false) }}>{t.time.all}</button>
            </div>
            <label className="zone-choice">
              <span>{t.time.zone}</span>
              <select value={zone} onChange={(event) => onZone(event.target.value)}>
                <option value={LOCAL}>{t.time.local} ({ianaName(LOCAL)})</option>
                <option value={UTC}>UTC</option>
                {Intl.supportedValuesOf('timeZone').map((name) => <option key={name} value={name}>{name}</option>)}
              </select>
            </label>
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
      <button type="button" className="button icon-only middle" aria-label={t.time.forward} title={`${t.time.forward} (])`} onClick={steps.forward}><RightIcon /></button>
      <button type="button" className="button icon-only last" aria-label={t.time.zoomOut} title={`${t.time.zoomOut} (Z)`} onClick={steps.out}><ZoomOutIcon /></button>
    </div>
  )
}

function TypedRange({ range, zone, onRange }: { range: TimeRange; zone: Zone; onRange: (range: TimeRange) => void }) {
  const written = range.to === 'now' ? range.from : rangeText(range, zone).includes('–') ? `${endText(range.from, zone)} - ${endText(range.to, zone)}` : range.from
  const [text, setText] = useState(written)
  const [wrong, setWrong] = useState(false)
  return (
    <form
      className="typed-range"
      onSubmit={(event) => {
        event.preventDefault()
        const read = readRange(text, zone, fromMillis(Date.now()))
        setWrong(read === undefined)
        if (read) onRange(read)
      }}
    >
      <label htmlFor="typed-range">{t.time.typed}</label>
      <div>
        <input id="typed-range" type="text" value={text} autoFocus onFocus={(event) => event.target.select()} onChange={(event) => setText(event.target.value)} aria-invalid={wrong} aria-describedby="typed-range-hint" spellCheck={false} autoComplete="off" />
        <button type="submit" className="button primary">{t.time.apply}</button>
      </div>
      <p id="typed-range-hint" className={wrong ? 'wrong' : 'faint'}>{wrong ? t.time.unreadable : t.time.typedHint}</p>
    </form>
  )
}

function endText(text: string, zone: Zone): string {
  if (isRelative(text)) return text
  const time = readTime(text, zone, fromMillis(Date.now()))
  return time === undefined ? text : formatTime(time, zone, 0)
}
