import { expect, test } from 'vitest'
import { EventParser } from './events'

const STREAM = 'event: open\ndata: {}\n\n: keep-alive\n\nevent: hits\ndata: [{"raw":"a: b"}]\n\ndata: one\ndata: two\n\r\nevent: x\r\ndata: crlf\r\n\r\n'
const EVENTS = [
  { event: 'open', data: '{}' },
  { event: 'hits', data: '[{"raw":"a: b"}]' },
  { event: 'message', data: 'one\ntwo' },
  { event: 'x', data: 'crlf' },
]

test('the same events come out however the network cuts the stream', () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const parser = new EventParser()
    const events = []
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.feed(STREAM.slice(at, at + size)))
    expect(events, `pieces of ${size}`).toEqual(EVENTS)
  }
})
