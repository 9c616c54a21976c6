/** All that is known about one line, beside the list: its text, its fields as filters, its JSON. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Tabs } from 'radix-ui'
import { Fragment, useState, type ReactNode } from 'react'
import { event } from '../api/client'
import type { Hit } from '../api/types'
import { formatBytes, t } from '../i18n'
import { CheckIcon, CloseIcon, ColumnIcon, CopyIcon, DownIcon, LinkIcon, MinusIcon, PlusIcon, TraceIcon, UpIcon } from '../shell/icons'
import { fromRfc3339 } from '../time/instant'
import { formatTime, zoneLabel, type Zone } from '../time/zone'
import { fieldsOf } from './fields'
import { levelOf } from './level'

interface Props {
  id: string
  /** Where the row is looked for by its id; absent: among the lines. */
  index?: string | undefined
  /** The row as the list has it; fetched by its id when the list does not have it. */
  hit: Hit | undefined
  zone: Zone
  columns: string[]
  link: (hit: Hit) => string
  onClose: () => void
  onStep: (direction: -1 | 1) => void
  onFilter: (field: string, value: string, negated: boolean) => void
  /** Columns can be chosen where this is given. */
  onColumn?: (field: string) => void
}

export function Drawer(props: Props) {
  const [whole, setWhole] = useState<string>()
  const full = whole === props.id
  const fetched = useQuery({
    queryKey: ['event', props.index, props.id, full],
    queryFn: ({ signal }) => event(props.id, props.index, full, signal),
    enabled: props.hit === undefined || full,
    staleTime: Infinity,
  })
  const hit = full ? (fetched.data ?? props.hit) : (props.hit ?? fetched.data)
  return (
    <aside className="drawer" aria-label={t.drawer.title}>
      <header>
        <h2>{t.drawer.title}</h2>
        <span className="spacer" />
        <button type="button" className="icon" aria-label={t.drawer.previous} title={`${t.drawer.previous} (k)`} onClick={() => props.onStep(-1)}><UpIcon /></button>
        <button type="button" className="icon" aria-label={t.drawer.next} title={`${t.drawer.next} (j)`} onClick={() => props.onStep(1)}><DownIcon /></button>
        <button type="button" className="icon" aria-label={t.drawer.close} title={`${t.drawer.close} (Esc)`} onClick={props.onClose}><CloseIcon /></button>
      </header>
      {hit ? <Details {...props} hit={hit} onWhole={() => setWhole(props.id)} loading={fetched.isFetching} /> : <p className="drawer-note">{fetched.isPending ? t.search.loading : fetched.error ? fetched.error.message : t.drawer.gone}</p>}
    </aside>
  )
}

function Details({ hit, zone, columns, link, onFilter, onColumn, onWhole, loading }: Omit<Props, 'hit'> & { hit: Hit; onWhole: () => void; loading: boolean }) {
  const time = fromRfc3339(hit.timestamp)
  const level = levelOf(hit.level)
  const json = () => JSON.stringify(hit, undefined, 2)
  return (
    <div className="drawer-body">
      <p className="drawer-when">
        <span className={`badge level-${level}`}>{level === 'none' ? t.histogram.none : level}</span>
        <time dateTime={hit.timestamp}>{formatTime(time, zone, 9)}</time>
        <span className="faint">{zoneLabel(zone, time)}</span>
      </p>
      <pre className="drawer-line" tabIndex={0} aria-label={t.drawer.line}>{hit.raw}</pre>
      {hit.raw_length !== undefined && (
        <Note>
          {t.drawer.cut(formatBytes(new TextEncoder().encode(hit.raw).length), formatBytes(hit.raw_length))}{' '}
          <button type="button" className="link" onClick={onWhole} disabled={loading}>{t.drawer.showAll}</button>
        </Note>
      )}
      {hit.attributes_cut && <Note>{t.drawer.attributesCut} <button type="button" className="link" onClick={onWhole} disabled={loading}>{t.drawer.showAll}</button></Note>}
      {((hit.events_cut ?? 0) > 0 || (hit.links_cut ?? 0) > 0) && <Note>{t.drawer.eventsCut(hit.events_cut ?? 0, hit.links_cut ?? 0)} <button type="button" className="link" onClick={onWhole} disabled={loading}>{t.drawer.showAll}</button></Note>}
      {hit.truncated_from !== undefined && <Note>{t.drawer.truncated(formatBytes(hit.truncated_from))}</Note>}
      {hit.parse_failed && <Note>{t.drawer.parseFailed}</Note>}
      <div className="drawer-actions">
        <CopyButton label={t.drawer.copyLine} icon={<CopyIcon />} text={() => hit.raw} />
        {hit.trace_id && <Link to="/traces/$id" params={{ id: hit.trace_id }} search={hit.span_id ? { span: hit.span_id } : {}} className="button small" data-testid="open-trace"><TraceIcon />{t.drawer.openTrace}</Link>}
        <CopyButton label={t.drawer.copyLink} icon={<LinkIcon />} text={() => link(hit)} />
      </div>
      <Tabs.Root defaultValue="fields" className="drawer-tabs">
        <Tabs.List className="tabs" aria-label={t.drawer.title}>
          <Tabs.Trigger value="fields">{t.drawer.fields}</Tabs.Trigger>
          <Tabs.Trigger value="json">{t.drawer.json}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="fields" tabIndex={-1}>
          <dl className="fields">
            {fieldsOf(hit).map((field) => (
              <div key={field.name} className="field">
                <dt><Breakable name={field.name} /></dt>
                <dd>
                  <div className="field-value">{field.text}</div>
                  <span className="field-actions">
                    {field.filter && (
                      <>
                        <button type="button" className="icon" aria-label={t.drawer.include(field.name)} title={t.drawer.include(field.name)} onClick={() => onFilter(field.name, field.text, false)}><PlusIcon /></button>
                        <button type="button" className="icon" aria-label={t.drawer.exclude(field.name)} title={t.drawer.exclude(field.name)} onClick={() => onFilter(field.name, field.text, true)}><MinusIcon /></button>
                      </>
                    )}
                    {onColumn && field.name !== 'level' && field.name !== 'id' && (
                      <button
                        type="button"
                        className="icon"
                        aria-pressed={columns.includes(field.name)}
                        aria-label={columns.includes(field.name) ? t.drawer.removeColumn(field.name) : t.drawer.addColumn(field.name)}
                        title={columns.includes(field.name) ? t.drawer.removeColumn(field.name) : t.drawer.addColumn(field.name)}
                        onClick={() => onColumn(field.name)}
                      ><ColumnIcon /></button>
                    )}
                  </span>
                </dd>
              </div>
            ))}
          </dl>
        </Tabs.Content>
        <Tabs.Content value="json" tabIndex={-1}>
          <pre className="json" tabIndex={0} aria-label={t.drawer.json}>{json()}</pre>
        </Tabs.Content>
      </Tabs.Root>
    </div>
  )
}

/** A long name goes on in the next line after one of its dots: cut off, those with one beginning look alike. */
export const Breakable = ({ name }: { name: string }) => name.split(/(?<=\.)/).map((part, index) => <Fragment key={index}>{index > 0 && <wbr />}{part}</Fragment>)

const Note = ({ children }: { children: ReactNode }) => <p className="drawer-note">{children}</p>

export function CopyButton({ label, icon, text }: { label: string; icon: ReactNode; text: () => string }) {
  const [outcome, setOutcome] = useState<'copied' | 'failed'>()
  const copy = async () => {
    setOutcome(await copyText(text()))
    setTimeout(() => setOutcome(undefined), 1600)
  }
  return (
    <button type="button" className="button small" onClick={copy}>
      {outcome === 'copied' ? <CheckIcon /> : icon}
      <span aria-live="polite">{outcome === 'copied' ? t.drawer.copied : outcome === 'failed' ? t.drawer.noCopy : label}</span>
    </button>
  )
}

/** Copying is refused on plain HTTP from another machine; say so instead of pretending. */
export async function copyText(text: string): Promise<'copied' | 'failed'> {
  try {
    await navigator.clipboard.writeText(text)
    return 'copied'
  } catch {
    return 'failed'
  }
}
