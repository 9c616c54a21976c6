/** Alerts: what fires now, the rules, what happened, and who is told. */
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { Tabs } from 'radix-ui'
import type { ReactNode } from 'react'
import { alerts, history, receivers, rules } from '../api/client'
import type { Alert, HistoryEntry, Rule } from '../api/types'
import { formatAge, formatCount, t } from '../i18n'
import type { AlertsTab } from '../router'
import { readAddress, type SearchAddress } from '../search/address'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { SearchIcon, TraceIcon } from '../shell/icons'
import { fromRfc3339, toMillis } from '../time/instant'
import { formatTime, LOCAL } from '../time/zone'
import { isOfSpans, queryOf, searchFor } from './link'
import { OpenTrace, Samples } from './Samples'
import { readSamples, worst } from './samples'

const route = getRouteApi('/alerts')
const EVERY_MS = 3000

export function AlertsPage() {
  const { tab = 'firing' } = route.useSearch()
  const navigate = useNavigate()
  const firing = useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => alerts(signal), refetchInterval: EVERY_MS })
  const known = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => rules(signal), refetchInterval: EVERY_MS * 3 })
  const count = firing.data?.filter((alert) => alert.state === 'firing').length
  return (
    <div className="page padded">
      <h1>{t.pages.alerts}</h1>
      <Tabs.Root value={tab} onValueChange={(value) => void navigate({ to: '/alerts', search: value === 'firing' ? {} : { tab: value as AlertsTab }, replace: true })}>
        <Tabs.List className="tabs" aria-label={t.pages.alerts}>
          <Tabs.Trigger value="firing">{t.alerts.firing}{count !== undefined && count > 0 && <span className="count hot">{count}</span>}</Tabs.Trigger>
          <Tabs.Trigger value="rules">{t.alerts.rules}{known.data && <span className="count">{known.data.length}</span>}</Tabs.Trigger>
          <Tabs.Trigger value="history">{t.alerts.history}</Tabs.Trigger>
          <Tabs.Trigger value="receivers">{t.alerts.receivers}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="firing" tabIndex={-1}>
          {firing.error ? <Failure message={firing.error.message} onRetry={() => void firing.refetch()} /> : firing.data && <Firing alerts={firing.data} rules={known.data ?? []} />}
        </Tabs.Content>
        <Tabs.Content value="rules" tabIndex={-1}>
          {known.error ? <Failure message={known.error.message} onRetry={() => void known.refetch()} /> : known.data && <Rules rules={known.data} />}
        </Tabs.Content>
        <Tabs.Content value="history" tabIndex={-1}><History rules={known.data ?? []} /></Tabs.Content>
        <Tabs.Content value="receivers" tabIndex={-1}><Receivers /></Tabs.Content>
      </Tabs.Root>
    </div>
  )
}

function Firing({ alerts, rules }: { alerts: Alert[]; rules: Rule[] }) {
  if (alerts.length === 0) return <Empty title={t.alerts.quiet} hint={t.alerts.quietHint} />
  return (
    <ul className="alert-cards">
      {alerts.map((alert) => {
        const rule = rules.find((other) => other.name === alert.rule)
        const ofSpans = isOfSpans(rule)
        return (
          <li key={alert.id} data-testid="alert" className={`alert-card ${alert.state}`}>
            <header>
              <State state={alert.state} />
              <h2>{alert.rule}</h2>
              <Labels labels={alert.labels} />
              <span className="spacer" />
              <ShowLines rule={rule} labels={alert.labels} starts={alert.starts_at} until={alert.last_line_at} />
            </header>
            {(alert.annotations.summary ?? rule?.summary) && <p>{alert.annotations.summary ?? rule?.summary}</p>}
            <dl className="facts">
              <Fact name={t.alerts.since}><When time={alert.starts_at} /></Fact>
              <Fact name={ofSpans ? t.alerts.spans : t.alerts.lines}>{formatCount(alert.lines)}</Fact>
              <Fact name={ofSpans ? t.alerts.lastSpan : t.alerts.last}><When time={alert.last_line_at} /></Fact>
              {rule?.quantile && <Fact name={t.alerts.threshold}>{t.alerts.quantile(rule.quantile, rule.within, rule.count)}</Fact>}
            </dl>
            <Samples samples={readSamples(alert.samples)} />
          </li>
        )
      })}
    </ul>
  )
}

function Rules({ rules }: { rules: Rule[] }) {
  if (rules.length === 0) return <Empty title={t.alerts.noRules} hint={t.alerts.noRulesHint}><pre tabIndex={0}>{t.alerts.example}</pre></Empty>
  return (
    <Table head={[t.alerts.state, t.alerts.name, t.alerts.condition, t.alerts.labels, t.alerts.receivers, t.alerts.file, '']} label={t.alerts.rules}>
      {rules.map((rule) => (
        <tr key={rule.name}>
          <td><State state={rule.state} />{rule.firing > 1 && <span className="faint"> × {rule.firing}</span>}</td>
          <td><b>{rule.name}</b>{rule.description && <div className="faint wide">{rule.description}</div>}</td>
          <td className="mono wide">{rule.summary}</td>
          <td><Labels labels={rule.labels} /></td>
          <td>{rule.receivers?.join(', ') ?? '*'}</td>
          <td className="mono faint">{rule.file.split('/').at(-1)}:{rule.line}</td>
          <td className="end"><Behind rule={rule} search={readAddress({ q: queryOf(rule), from: '24h' })} /></td>
        </tr>
      ))}
    </Table>
  )
}

function History({ rules }: { rules: Rule[] }) {
  const found = useQuery({ queryKey: ['history'], queryFn: ({ signal }) => history(signal), refetchInterval: EVERY_MS })
  if (found.error) return <Failure message={found.error.message} onRetry={() => void found.refetch()} />
  if (!found.data) return null
  if (found.data.length === 0) return <Empty title={t.alerts.noHistory} hint={t.alerts.noHistoryHint} />
  return (
    <Table head={[t.alerts.when, t.alerts.change, t.alerts.rule, t.alerts.labels, t.alerts.lines, t.alerts.notifications, '']} label={t.alerts.history}>
      {found.data.map((entry, index) => (
        <tr key={`${entry.alert}-${entry.change}-${index}`}>
          <td><When time={entry.at} /></td>
          <td><State state={entry.change} /></td>
          <td><b>{entry.rule}</b></td>
          <td><Labels labels={entry.labels} /></td>
          <td className="number">{formatCount(entry.lines)}</td>
          <td><Notifications entry={entry} /></td>
          <td className="end"><OpenTrace sample={worst(readSamples(entry.samples))} button /> <ShowLines rule={rules.find((rule) => rule.name === entry.rule)} labels={entry.labels} starts={entry.starts_at} until={entry.change === 'resolved' ? entry.at : entry.starts_at} /></td>
        </tr>
      ))}
    </Table>
  )
}

function Notifications({ entry }: { entry: HistoryEntry }) {
  if (entry.notifications.length === 0) return <span className="faint">{t.alerts.nobody}</span>
  return (
    <>
      {entry.notifications.map((told) => (
        <div key={told.id} title={told.last_error ?? undefined}>
          {told.receiver} <State state={told.state} /> {told.attempts > 1 && <span className="faint">{t.alerts.attempts(told.attempts)}</span>}
        </div>
      ))}
    </>
  )
}

function Receivers() {
  const found = useQuery({ queryKey: ['receivers'], queryFn: ({ signal }) => receivers(signal), refetchInterval: EVERY_MS })
  if (found.error) return <Failure message={found.error.message} onRetry={() => void found.refetch()} />
  if (!found.data) return null
  if (found.data.length === 0) return <Empty title={t.alerts.noReceivers} hint={t.alerts.noReceiversHint} />
  return (
    <Table head={[t.alerts.name, t.alerts.url, t.alerts.pending, t.alerts.delivered, t.alerts.dead]} label={t.alerts.receivers}>
      {found.data.map((receiver) => (
        <tr key={receiver.name}>
          <td><b>{receiver.name}</b>{receiver.disabled && <div className="warn">{t.alerts.disabled(receiver.disabled)}</div>}</td>
          <td className="mono wide">{receiver.url}</td>
          <td className="number">{formatCount(receiver.pending)}</td>
          <td className="number">{formatCount(receiver.delivered)}</td>
          <td className={receiver.dead > 0 ? 'number warn' : 'number'}>{formatCount(receiver.dead)}</td>
        </tr>
      ))}
    </Table>
  )
}

function Table({ head, label, children }: { head: string[]; label: string; children: ReactNode }) {
  return (
    <div className="table-frame" tabIndex={0}>
      <table aria-label={label}>
        <thead><tr>{head.map((name, index) => <th key={index} scope="col">{name || <span className="hidden">{t.alerts.openSearch}</span>}</th>)}</tr></thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

const State = ({ state }: { state: string }) => <span className={`state ${state}`}>{state}</span>

function Labels({ labels }: { labels: Record<string, string> }) {
  return <span className="labels">{Object.entries(labels).map(([name, value]) => <span key={name}>{name}=<b>{value}</b></span>)}</span>
}

const Fact = ({ name, children }: { name: string; children: ReactNode }) => <div><dt>{name}</dt><dd>{children}</dd></div>

function When({ time }: { time: string }) {
  const moment = fromRfc3339(time)
  return (
    <time dateTime={time} title={formatTime(moment, LOCAL, 9)}>
      {formatTime(moment, LOCAL, 0)} <span className="faint">({formatAge(Date.now() - toMillis(moment))})</span>
    </time>
  )
}

function ShowLines({ rule, labels, starts, until }: { rule: Rule | undefined; labels: Record<string, string>; starts: string; until: string }) {
  return <Behind rule={rule} search={readAddress({ ...searchFor(rule, { labels, starts_at: starts, until }) })} />
}

/** To the lines, or the traces, that a rule is about. */
function Behind({ rule, search }: { rule: Rule | undefined; search: SearchAddress }) {
  return isOfSpans(rule) ? (
    <Link to="/traces" search={search} className="button small"><TraceIcon />{t.alerts.openTraces}</Link>
  ) : (
    <Link to="/search" search={search} className="button small"><SearchIcon />{t.alerts.openSearch}</Link>
  )
}
