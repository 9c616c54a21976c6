/** The lines and spans that an alert quotes. */

export interface Sample {
  text: string
  /** RFC 3339. */
  time: string | undefined
  trace: { id: string; span: string | undefined } | undefined
  /** Set where a span is quoted. */
  span: { service: string; operation: string; durationNs: number; failed: boolean; message: string } | undefined
}

/** What is quoted was written when the alert fired, maybe by an older version: whatever is not there is left out. */
export function readSamples(samples: unknown): Sample[] {
  if (!Array.isArray(samples)) return []
  return samples.flatMap((sample: unknown) => {
    if (typeof sample === 'string') return [{ text: sample, time: undefined, trace: undefined, span: undefined }]
    if (sample === null || typeof sample !== 'object') return []
    const text = (name: string): string | undefined => {
      const value = (sample as Record<string, unknown>)[name]
      return typeof value === 'string' ? value : undefined
    }
    const line = text('line') ?? text('raw')
    if (line === undefined) return []
    const trace = text('trace_id')
    return [{ text: line, time: text('timestamp'), trace: trace === undefined ? undefined : { id: trace, span: text('span_id') }, span: spanOf(sample, text, line) }]
  })
}

function spanOf(sample: object, text: (name: string) => string | undefined, line: string): Sample['span'] {
  const operation = text('operation')
  if (operation === undefined || !('duration_ns' in sample)) return undefined
  const failed = text('status') === 'error'
  // A span's text is its name, then what it says of its failure, then its events.
  return { service: text('service') ?? '', operation, durationNs: Number(sample.duration_ns), failed, message: failed ? (line.split('\n')[1] ?? '') : '' }
}

/** The one to look at first: the longest span, else the latest line, of those with a trace. */
export function worst(samples: Sample[]): Sample | undefined {
  const traced = samples.filter((sample) => sample.trace)
  return traced.reduce<Sample | undefined>((found, sample) => (found && (found.span?.durationNs ?? 0) > (sample.span?.durationNs ?? 0) ? found : sample), undefined)
}
