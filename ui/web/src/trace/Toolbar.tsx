/** What can be done with the waterfall: find, jump to errors, fold, filter, zoom. */
import { useEffect, useState, type ReactNode, type Ref } from 'react'
import { tt } from '../i18n/tracing'
import { DownIcon, MinusIcon, PlusIcon, SearchIcon, UpIcon, WarnIcon } from '../shell/icons'
import type { TraceAddress } from '../traces/address'
import { readDuration } from '../traces/duration'
import type { Go } from './TracePage'
import type { Trace } from './tree'

const LEVELS = 9

interface Props {
  trace: Trace
  address: TraceAddress
  go: Go
  field: Ref<HTMLInputElement>
  matches: number
  /** Which match the keyboard is on, from 1; 0 for none. */
  matchAt: number
  hidden: number
  onMatch: (direction: 1 | -1) => void
  onError: (direction: 1 | -1) => void
  onLevel: (level: number) => void
  onExpandAll: () => void
  onScale: (factor: number) => void
  onWhole: () => void
}

export function Toolbar({ trace, address, go, field, matches, matchAt, hidden, onMatch, onError, onLevel, onExpandAll, onScale, onWhole }: Props) {
  const finding = address.find !== undefined
  return (
    <div className="trace-tools" role="toolbar" aria-label={tt.trace.waterfall}>
      <span className="tool-find">
        <SearchIcon />
        <input
          ref={field}
          type="text"
          value={address.find ?? ''}
          aria-label={tt.trace.find}
          placeholder={tt.trace.findHint}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => go({ find: event.target.value === '' ? undefined : event.target.value })}
          onKeyDown={(event) => {
            if (event.key === 'Enter') onMatch(event.shiftKey ? -1 : 1)
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
        {finding && (
          <>
            <span className="faint" data-testid="matches" aria-live="polite">{tt.trace.found(matchAt, matches)}</span>
            <Icon label={tt.trace.previousMatch} keys="N" disabled={matches === 0} onClick={() => onMatch(-1)}><UpIcon /></Icon>
            <Icon label={tt.trace.nextMatch} keys="n" disabled={matches === 0} onClick={() => onMatch(1)}><DownIcon /></Icon>
          </>
        )}
      </span>
      {trace.errorCount > 0 && (
        <span className="tool-group errors">
          <WarnIcon />
          <span>{tt.errors(trace.errorCount)}</span>
          <Icon label={tt.trace.previousError} keys="E" onClick={() => onError(-1)}><UpIcon /></Icon>
          <Icon label={tt.trace.nextError} keys="e" onClick={() => onError(1)}><DownIcon /></Icon>
        </span>
      )}
      <button type="button" className="button small" aria-pressed={address.path === 'critical'} title={`${tt.trace.criticalHint} (p)`} onClick={() => go({ path: address.path ? undefined : 'critical' })}>{tt.trace.critical}</button>
      <ShortFilter value={address.min ?? ''} onChange={(min) => go({ min: min === '' ? undefined : min })} />
      {hidden > 0 && <span className="faint" data-testid="hidden-spans">{tt.trace.hidden(hidden)}</span>}
      <span className="spacer" />
      <span className="tool-group">
        <select
          aria-label={tt.trace.level}
          title={`${tt.trace.level} (1 … 9)`}
          value=""
          onChange={(event) => {
            if (event.target.value === 'all') onExpandAll()
            else onLevel(Number(event.target.value))
          }}
        >
          <option value="" disabled>{tt.trace.level}</option>
          {Array.from({ length: Math.min(LEVELS, trace.maxDepth) }, (_, at) => <option key={at} value={at + 1}>{tt.trace.levelOf(at + 1)}</option>)}
          <option value="all">{tt.trace.levelNone}</option>
        </select>
        <button type="button" className="button small" title={`${tt.trace.collapseAll} (H)`} onClick={() => onLevel(1)}>{tt.trace.collapseAll}</button>
        <button type="button" className="button small" title={`${tt.trace.expandAll} (L)`} onClick={onExpandAll}>{tt.trace.expandAll}</button>
      </span>
      <span className="tool-group">
        <Icon label={tt.trace.zoomOut} onClick={() => onScale(2)}><MinusIcon /></Icon>
        <Icon label={tt.trace.zoomIn} onClick={() => onScale(0.5)}><PlusIcon /></Icon>
        <button type="button" className="button small" title={`${tt.trace.zoomAll} (Z)`} onClick={onWhole}>{tt.trace.zoomAll}</button>
      </span>
    </div>
  )
}

const Icon = ({ label, keys, disabled, onClick, children }: { label: string; keys?: string; disabled?: boolean; onClick: () => void; children: ReactNode }) => (
  <button type="button" className="icon" aria-label={label} title={keys ? `${label} (${keys})` : label} disabled={disabled} onClick={onClick}>{children}</button>
)

/** Takes effect while typing, as soon as what stands there is a length of time. */
function ShortFilter({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  const wrong = text.trim() !== '' && readDuration(text) === undefined
  return (
    <label className="tool-short">
      <span>{tt.trace.hideShort}</span>
      <input
        type="text"
        value={text}
        placeholder="1ms"
        spellCheck={false}
        autoComplete="off"
        aria-invalid={wrong}
        onChange={(event) => {
          setText(event.target.value)
          const next = event.target.value.trim()
          if (next === '' || readDuration(next) !== undefined) onChange(next)
        }}
        onBlur={() => setText(value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape' || event.key === 'Enter') event.currentTarget.blur()
        }}
      />
    </label>
  )
}
