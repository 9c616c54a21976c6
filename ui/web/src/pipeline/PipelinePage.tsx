/** Pipeline: one picture of the way from file to search, and the numbers behind it. */
import { useQuery } from '@tanstack/react-query'
import { Fragment, useState, type ReactNode } from 'react'
import { alerts, pipeline, rules } from '../api/client'
import type { Agent, Group, Indexer, Partition } from '../api/types'
import { formatAge, formatBytes, formatCount, formatShort, t } from '../i18n'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { DownIcon, RightIcon } from '../shell/icons'
import { fromRfc3339, toMillis } from '../time/instant'
import { useRate } from './rates'

const EVERY_MS = 2000
/** An agent reports every two seconds; five missed reports are not an accident. */
const SILENT_MS = 12_000

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
const ageOf = (time: string): number => Date.now() - toMillis(fromRfc3339(time))

export function PipelinePage() {
  const found = useQuery({ queryKey: ['pipeline'], queryFn: ({ signal }) => pipeline(signal), refetchInterval: EVERY_MS })
  if (found.error && !found.data) {
    return <div className="page padded"><h1>{t.pages.pipeline}</h1><Failure message={found.error.message} onRetry={() => void found.refetch()} /></div>
  }
  if (!found.data) return <div className="page padded"><h1>{t.pages.pipeline}</h1></div>
  const { agents, partitions, groups, indexer } = found.data
  return (
    <div className="page padded">
      <h1>{t.pages.pipeline}</h1>
      {found.error && <Failure message={found.error.message} />}
      <Flow agents={agents} partitions={partitions} indexer={indexer} at={found.dataUpdatedAt} />
      <section>
        <h2>{t.pipeline.agents}</h2>
        {agents.length === 0 ? <Empty title={t.pipeline.noAgents} hint={t.pipeline.noAgentsHint} /> : <Agents agents={agents} />}
      </section>
      <section>
        <h2>{t.pipeline.partitions}</h2>
        {partitions.length === 0 ? <Empty title={t.pipeline.noPartitions} /> : <Partitions partitions={partitions} />}
      </section>
      {groups && groups.length > 0 && (
        <section>
          <h2>{t.pipeline.groups}</h2>
          <Groups groups={groups} />
        </section>
      )}
      <section aria-label={t.pipeline.indexer}>
        <h2>{t.pipeline.indexer}</h2>
        <Health indexer={indexer} />
      </section>
    </div>
  )
}

function Flow({ agents, partitions, indexer, at }: { agents: Agent[]; partitions: Partition[]; indexer: Indexer; at: number }) {
  const data = partitions.filter((partition) => !partition.topic.startsWith('_'))
  const backlog = sum(agents.map((agent) => agent.backlog_bytes))
  const lag = sum(data.map((partition) => partition.lag ?? 0))
  const sent = useRate(sum(agents.map((agent) => agent.lines_total)), at)
  const queued = useRate(sum(data.map((partition) => partition.end ?? 0)), at)
  const indexed = useRate(sum(data.map((partition) => partition.next)), at)
  const silent = agents.some((agent) => ageOf(agent.last_seen) > SILENT_MS)
  const known = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => rules(signal), refetchInterval: 10_000 })
  const firing = useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => alerts(signal), refetchInterval: 10_000 })
  const perSecond = (value: number | undefined) => (value === undefined ? '–' : t.pipeline.perSecond(value))
  const count = firing.data?.filter((alert) => alert.state === 'firing').length ?? 0
  return (
    <ol className="flow" aria-label={t.pipeline.flow}>
      <Stage name={t.pipeline.agents} main={t.pipeline.hosts(agents.length)} tone={agents.length === 0 ? 'idle' : silent ? 'warn' : 'good'}
        facts={[[t.pipeline.rate, perSecond(sent)], [t.pipeline.backlog, formatBytes(backlog)], ['', t.pipeline.files(sum(agents.map((agent) => agent.files_total)))]]} />
      <Stage name={t.pipeline.queue} main={`${data.length} ${t.pipeline.partitions.toLowerCase()}`} tone={data.length === 0 ? 'idle' : 'good'}
        facts={[[t.pipeline.rate, perSecond(queued)], [t.pipeline.events, formatShort(sum(data.map((partition) => (partition.end ?? 0) - (partition.log_start ?? 0))))]]} />
      <Stage name={t.pipeline.indexer} main={t.pipeline.behind(lag)} tone={lag > 10_000 ? 'warn' : 'good'}
        facts={[[t.pipeline.rate, perSecond(indexed)], [t.pipeline.hot, formatShort(indexer.hot_docs)], [t.pipeline.published, indexer.last_publish ? formatAge(ageOf(indexer.last_publish)) : t.pipeline.never]]} />
      <Stage name={t.pipeline.index} main={`${formatShort(indexer.docs)} ${t.pipeline.events}`} tone={indexer.complete === false ? 'warn' : 'good'}
        facts={[[t.pipeline.splits, formatCount(indexer.splits)], ...(indexer.split_bytes === undefined ? [] : [[t.pipeline.size.toLowerCase(), formatBytes(indexer.split_bytes)] as [string, string]])]} />
      <Stage name={t.pipeline.alerting} main={known.data ? t.pipeline.rulesFiring(known.data.length, count) : '–'} tone={count > 0 ? 'bad' : known.data ? 'good' : 'idle'}
        facts={known.error ? [['', t.pipeline.unused]] : []} />
    </ol>
  )
}

function Stage({ name, main, tone, facts }: { name: string; main: string; tone: 'good' | 'warn' | 'bad' | 'idle'; facts: [string, string][] }) {
  return (
    <li className={`stage tone-${tone}`}>
      <h3><i aria-hidden="true" />{name}</h3>
      <p>{main}</p>
      <dl>{facts.map(([label, value]) => <div key={label + value}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>
    </li>
  )
}

function Agents({ agents }: { agents: Agent[] }) {
  const [open, setOpen] = useState<string>()
  return (
    <Table label={t.pipeline.agents} head={[t.pipeline.host, t.pipeline.seen, t.pipeline.files(2).replace('2 ', ''), t.pipeline.backlog, t.pipeline.linesSent, t.pipeline.bytesSent, t.pipeline.errors, t.pipeline.version]} numbers={[2, 3, 4, 5, 6]}>
      {agents.map((agent) => {
        const silent = ageOf(agent.last_seen) > SILENT_MS
        return (
          <Fragment key={agent.id}>
            <tr>
              <td>
                <button type="button" className="link strong" aria-expanded={open === agent.id} aria-label={t.pipeline.showFiles(agent.host)} onClick={() => setOpen(open === agent.id ? undefined : agent.id)}>
                  {open === agent.id ? <DownIcon /> : <RightIcon />}{agent.host}
                </button>
              </td>
              <td>{silent ? <span className="state dead">{t.pipeline.stale}</span> : <span className="state delivered">{formatAge(ageOf(agent.last_seen))}</span>}</td>
              <td className="number">{formatCount(agent.files_total)}</td>
              <td className="number">{formatBytes(agent.backlog_bytes)}</td>
              <td className="number">{formatCount(agent.lines_total)}</td>
              <td className="number">{formatBytes(agent.bytes_total)}</td>
              <td className={agent.errors.length > 0 ? 'number warn' : 'number'}>{agent.errors.length}</td>
              <td className="mono faint">{agent.version}</td>
            </tr>
            {open === agent.id && (
              <tr className="nested">
                <td colSpan={8}>
                  {agent.errors.length > 0 && <pre className="errors" tabIndex={0} aria-label={t.pipeline.errors}>{agent.errors.join('\n')}</pre>}
                  <table>
                    <thead><tr><th scope="col">{t.pipeline.path}</th><th scope="col" className="number">{t.pipeline.size}</th><th scope="col" className="number">{t.pipeline.acked}</th><th scope="col" className="number">{t.pipeline.backlog}</th></tr></thead>
                    <tbody>
                      {agent.files.map((file) => (
                        <tr key={file.path}>
                          <td className="mono wide">{file.path}</td>
                          <td className="number">{formatBytes(file.size)}</td>
                          <td className="number">{formatBytes(file.acked)}</td>
                          <td className={file.backlog > 0 ? 'number' : 'number faint'}>{formatBytes(file.backlog)}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </td>
              </tr>
            )}
          </Fragment>
        )
      })}
    </Table>
  )
}

function Partitions({ partitions }: { partitions: Partition[] }) {
  const offset = (value: number | null) => (value === null ? '–' : formatCount(value))
  return (
    <Table label={t.pipeline.partitions} head={[t.pipeline.topic, t.pipeline.partition, t.pipeline.start, t.pipeline.end, t.pipeline.nextOffset, t.pipeline.publishedOffset, t.pipeline.lag]} numbers={[1, 2, 3, 4, 5, 6]}>
      {partitions.map((partition) => (
        <tr key={`${partition.topic}-${partition.partition}`}>
          <td><b>{partition.topic}</b></td>
          <td className="number">{partition.partition}</td>
          <td className="number">{offset(partition.log_start)}</td>
          <td className="number">{offset(partition.end)}</td>
          <td className="number">{offset(partition.next)}</td>
          <td className="number">{offset(partition.published)}</td>
          <td className="number"><Lag partition={partition} /></td>
        </tr>
      ))}
    </Table>
  )
}

function Groups({ groups }: { groups: Group[] }) {
  return (
    <Table label={t.pipeline.groups} head={[t.pipeline.group, t.pipeline.topic, t.pipeline.lag, t.pipeline.size, t.pipeline.oldest, t.pipeline.lost]} numbers={[2, 3, 4, 5]}>
      {groups.map((group) => (
        <tr key={`${group.group}/${group.topic}`}>
          <td><b>{group.group}</b></td>
          <td>{group.topic}</td>
          <td className={group.lag_records === 0 ? 'number faint' : 'number'}>{formatCount(group.lag_records)}</td>
          <td className="number">{formatBytes(group.lag_bytes)}</td>
          <td className="number">{group.lag_records === 0 ? '–' : formatAge(group.lag_seconds * 1000)}</td>
          <td className={group.is_losing ? 'number warn' : group.lost_records === 0 ? 'number faint' : 'number'}>{formatCount(group.lost_records)}</td>
        </tr>
      ))}
    </Table>
  )
}

function Lag({ partition }: { partition: Partition }) {
  const lag = partition.lag ?? 0
  return <span className={lag > 10_000 ? 'warn' : lag === 0 ? 'faint' : ''}>{partition.lag === null ? '–' : formatCount(lag)}</span>
}

function Health({ indexer }: { indexer: Indexer }) {
  const facts: [string, number, boolean][] = [
    [t.pipeline.merges, indexer.merges, false],
    [t.pipeline.parseFailed, indexer.parse_failed, true],
    [t.pipeline.duplicates, indexer.duplicates_dropped, false],
    [t.pipeline.gaps, indexer.gaps, true],
  ]
  return (
    <dl className="facts boxed">
      {facts.map(([name, value, bad]) => <div key={name}><dt>{name}</dt><dd className={bad && value > 0 ? 'warn' : ''}>{formatCount(value)}</dd></div>)}
    </dl>
  )
}

function Table({ label, head, numbers, children }: { label: string; head: string[]; numbers: number[]; children: ReactNode }) {
  return (
    <div className="table-frame" tabIndex={0}>
      <table aria-label={label}>
        <thead><tr>{head.map((name, index) => <th key={name} scope="col" className={numbers.includes(index) ? 'number' : ''}>{name}</th>)}</tr></thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}
