/** What an alert quotes: lines as they are, spans by what tells them apart, each with the way to its trace. */
import { Link } from '@tanstack/react-router'
import { t } from '../i18n'
import { TraceIcon } from '../shell/icons'
import { fromRfc3339 } from '../time/instant'
import { formatTime, LOCAL } from '../time/zone'
import { formatDuration } from '../traces/duration'
import type { Sample } from './samples'

export function Samples({ samples }: { samples: Sample[] }) {
  if (samples.length === 0) return null
  return (
    <ol className="samples" tabIndex={0} aria-label={t.alerts.sample}>
      {samples.map((sample, index) => (
        <li key={index} data-testid="sample">
          {sample.time && <time dateTime={sample.time} className="faint">{formatTime(fromRfc3339(sample.time), LOCAL).slice(11)}</time>}
          {sample.span ? (
            <span className="sample-text">
              <b>{sample.span.service}</b> {sample.span.operation} <b className="sample-duration">{formatDuration(sample.span.durationNs)}</b>
              {sample.span.failed && <span className="bad"> {sample.span.message || t.alerts.failed}</span>}
            </span>
          ) : (
            <span className="sample-text">{sample.text}</span>
          )}
          <OpenTrace sample={sample} />
        </li>
      ))}
    </ol>
  )
}

/** By the trace's id and not by `trace_url`: that is for those who read a notification elsewhere. */
export function OpenTrace({ sample, button = false }: { sample: Sample | undefined; button?: boolean }) {
  if (!sample?.trace) return null
  const { id, span } = sample.trace
  return (
    <Link to="/traces/$id" params={{ id }} search={span === undefined ? {} : { span }} className={button ? 'button small' : 'sample-trace'} data-testid="sample-trace">
      <TraceIcon />{t.drawer.openTrace}
    </Link>
  )
}
