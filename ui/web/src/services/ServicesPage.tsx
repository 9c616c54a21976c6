/** Services: how much is asked of each, how much fails, how long it takes, and who calls whom. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { Tabs } from 'radix-ui'
import { dependencies, services } from '../api/tracing'
import { t } from '../i18n'
import { tt } from '../i18n/tracing'
import { defined, rangeOf, zoneOf } from '../search/address'
import { TimeField } from '../search/TimeField'
import { Empty } from '../shell/Empty'
import { Failure } from '../shell/Failure'
import { LeftIcon, WarnIcon } from '../shell/icons'
import { absolute, type TimeRange } from '../time/range'
import { useBounds, type FixedBounds } from '../time/useBounds'
import { HowToSend } from '../traces/NoTraces'
import { readServicesAddress, type ServicesAddress } from '../traces/address'
import { clauseText } from '../query/clauses'
import { Dependencies } from './Dependencies'
import { ServiceCharts } from './ServiceCharts'
import { ServiceTable } from './ServiceTable'
import '../styles/traces.css'
import '../styles/services.css'

const route = getRouteApi('/services')

export type GoServices = (change: { [Name in keyof ServicesAddress]?: ServicesAddress[Name] | undefined }, replace?: boolean) => void

export function ServicesPage() {
  const address = route.useSearch()
  const navigate = useNavigate()
  const fixed = useBounds(address)
  const go: GoServices = (change, replace = false) => void navigate({ to: '/services', search: (before) => readServicesAddress({ ...before, ...change }), replace })
  const setRange = (range: TimeRange) => (range.from === rangeOf(address).from && range.to === rangeOf(address).to ? fixed.again() : go({ from: range.from, to: range.to }))
  /** To the traces behind a number, in the very range that it was counted in. */
  const showTraces = (q: string) => void navigate({ to: '/traces', search: defined({ q, from: address.from, to: address.to, tz: address.tz }) })
  const shared = { address, fixed, go, setRange, showTraces }
  return (
    <div className="page padded services-page">
      <header className="services-head">
        <h1>{t.pages.services}</h1>
        <span className="spacer" />
        <TimeField range={rangeOf(address)} zone={zoneOf(address)} bounds={fixed.bounds} onRange={setRange} onZone={(tz) => go({ tz }, true)} />
      </header>
      {fixed.bounds === undefined && <Failure message={t.search.noTime} />}
      <Tabs.Root value={address.tab ?? 'table'} onValueChange={(tab) => go({ tab: tab === 'map' ? 'map' : undefined })}>
        <Tabs.List className="tabs" aria-label={t.pages.services}>
          <Tabs.Trigger value="table">{tt.services.table}</Tabs.Trigger>
          <Tabs.Trigger value="map">{tt.services.map}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="table" tabIndex={-1}>{address.service === undefined ? <All {...shared} /> : <One {...shared} service={address.service} />}</Tabs.Content>
        <Tabs.Content value="map" tabIndex={-1}><Map {...shared} /></Tabs.Content>
      </Tabs.Root>
    </div>
  )
}

interface Shared {
  address: ServicesAddress
  fixed: FixedBounds
  go: GoServices
  setRange: (range: TimeRange) => void
  showTraces: (q: string) => void
}

function useServices({ from, to, run, bounds }: FixedBounds, service: string | undefined) {
  return useQuery({
    queryKey: ['services', from, to, service, run],
    queryFn: ({ signal }) => services({ from, to, service }, signal),
    enabled: bounds !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  })
}

/** What the numbers below leave out. */
function LeftOut({ answer }: { answer: { complete: boolean; notes?: string[] } }) {
  const notes = answer.notes ?? []
  return (
    <>
      {!answer.complete && notes.length === 0 && <p className="warn left-out"><WarnIcon /> {tt.services.incomplete}</p>}
      {notes.map((note) => <p key={note} className={answer.complete ? 'faint left-out' : 'warn left-out'} role="note">{!answer.complete && <WarnIcon />} {note}</p>)}
    </>
  )
}

function All({ address, fixed, go, showTraces }: Shared) {
  const found = useServices(fixed, undefined)
  if (found.error) return <Failure message={found.error.message} onRetry={() => void found.refetch()} />
  if (!found.data) return <p className="faint">{tt.logs.loading}</p>
  if (found.data.rows.length === 0) return <NoRequests address={address} go={go} />
  return (
    <>
      <LeftOut answer={found.data} />
      <ServiceTable
        answer={found.data}
        first={tt.services.service}
        nameOf={(row) => row.service}
        sort={address.sort}
        onSort={(sort) => go({ sort }, true)}
        onOpen={(row) => go({ service: row.service })}
        onTraces={(row, errors) => showTraces(queryOf(row.service, undefined, errors))}
      />
    </>
  )
}

function One({ address, fixed, go, setRange, showTraces, service }: Shared & { service: string }) {
  const all = useServices(fixed, undefined)
  const found = useServices(fixed, service)
  const whole = all.data?.rows.find((row) => row.service === service)
  return (
    <div className="one-service">
      <div className="services-title">
        <button type="button" className="button quiet icon-only" aria-label={tt.services.all} title={tt.services.all} onClick={() => go({ service: undefined })}><LeftIcon /></button>
        <h2 data-testid="service-title">{service}</h2>
        <span className="spacer" />
        <button type="button" className="button small" onClick={() => showTraces(queryOf(service, undefined, false))}>{tt.services.traces}</button>
      </div>
      {all.data && whole && <ServiceCharts row={whole} stepNs={all.data.step_ns} zone={zoneOf(address)} onRange={(from, to) => setRange(absolute(from, to))} />}
      {found.error ? <Failure message={found.error.message} onRetry={() => void found.refetch()} />
        : found.data && !found.isPlaceholderData ? (
          found.data.rows.length === 0 ? <Empty title={tt.services.none} hint={tt.services.noneHint} /> : (
            <>
              <LeftOut answer={found.data} />
              <ServiceTable
                answer={found.data}
                first={tt.services.operation}
                nameOf={(row) => row.operation ?? ''}
                sort={address.sort}
                onSort={(sort) => go({ sort }, true)}
                onOpen={(row) => showTraces(queryOf(service, row.operation, false))}
                onTraces={(row, errors) => showTraces(queryOf(service, row.operation, errors))}
              />
            </>
          )
        ) : <p className="faint">{tt.logs.loading}</p>}
    </div>
  )
}

function Map({ fixed: { from, to, run, bounds }, showTraces }: Shared) {
  const found = useQuery({
    queryKey: ['dependencies', from, to, run],
    queryFn: ({ signal }) => dependencies({ from, to }, signal),
    enabled: bounds !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  })
  if (found.error) return <Failure message={found.error.message} onRetry={() => void found.refetch()} />
  if (!found.data) return <p className="faint">{tt.logs.loading}</p>
  if (found.data.edges.length === 0) return <Empty title={tt.services.noEdges} hint={tt.services.noEdgesHint} />
  return (
    <>
      <LeftOut answer={found.data} />
      <Dependencies answer={found.data} onTraces={showTraces} />
    </>
  )
}

function NoRequests({ address, go }: { address: ServicesAddress; go: GoServices }) {
  if (rangeOf(address).from === 'all') return <Empty title={tt.empty.noDataTitle}><HowToSend /></Empty>
  return (
    <Empty title={tt.services.none} hint={tt.services.noneHint}>
      <p>{t.empty.range}</p>
      <div className="empty-actions">
        {(['1h', '24h', '7d'] as const).map((span) => <button key={span} type="button" className="button" onClick={() => go({ from: span, to: 'now' })}>{t.time.last(t.time.spans[span]!)}</button>)}
        <button type="button" className="button primary" onClick={() => go({ from: 'all', to: 'now' })}>{t.empty.allTime}</button>
      </div>
      <h3>{tt.empty.how}</h3>
      <HowToSend />
    </Empty>
  )
}

const queryOf = (service: string, operation: string | undefined, errors: boolean): string =>
  [clauseText('service', service), operation === undefined ? '' : clauseText('operation', operation), errors ? 'status:error' : ''].filter(Boolean).join(' ')
