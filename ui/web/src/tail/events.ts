/**
 * Server-sent events out of a `fetch` body.
 *
 * `EventSource` hides the body of a refusal, and with it where the query is wrong; it also
 * reconnects by itself, which would hide a gap. So the stream is read here.
 */
export interface ServerEvent {
  event: string
  data: string
}

/** Feed it text as it comes; it gives whole events. */
export class EventParser {
  private rest = ''

  feed(text: string): ServerEvent[] {
    // A carriage return at the end may be the first half of a line end.
    const joined = this.rest + text
    const usable = joined.endsWith('\r') ? joined.slice(0, -1) : joined
    const held = joined.slice(usable.length)
    const blocks = usable.replaceAll('\r\n', '\n').replaceAll('\r', '\n').split('\n\n')
    this.rest = blocks.pop()! + held
    return blocks.flatMap((block) => read(block))
  }
}

function read(block: string): ServerEvent[] {
  let event = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') event = value
    else if (name === 'data') data.push(value)
  }
  return data.length > 0 ? [{ event, data: data.join('\n') }] : []
}
