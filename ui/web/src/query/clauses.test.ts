import { describe, expect, test } from 'vitest'
import { chips, clauses, clauseText, cutPipes, fromByteOffset, include, indexIn, negate, quote, remove, shownValue, withIndex } from './clauses'

const shown = (text: string) => chips(text).map((clause) => `${clause.negated ? '-' : ''}${clause.field}=${shownValue(clause)}`)

describe('chips are read out of the text', () => {
  test('fields, negations, quotes, ranges and regexes', () => {
    expect(shown('level:error service:checkout')).toEqual(['level=error', 'service=checkout'])
    expect(shown('timeout AND level:error NOT host:web-1 -host:web-2')).toEqual(['level=error', '-host=web-1', '-host=web-2'])
    expect(shown('source:"/var/log/my app.log" "a:b"')).toEqual(['source=/var/log/my app.log'])
    expect(shown('status:>=500 took:[1 TO 5] body:/a (b|c)/ http.path:/x/')).toEqual(['status=>=500', 'took=[1 TO 5]', 'body=/a (b|c)/', 'http.path=/x/'])
    expect(shown('level:(error OR warn) x')).toEqual(['level=(error OR warn)'])
    expect(shown('服务:结账')).toEqual(['服务=结账'])
    expect(shown(String.raw`msg:"say \"hi\" \\"`)).toEqual(['msg=say "hi" \\'])
  })

  test('no chips where a clause could be left out of an OR, or nothing closes', () => {
    for (const text of ['level:error OR level:warn', 'a:"b', '(a:b', 'a:b)', 'a:/b']) {
      expect(clauses(text), text).toBeUndefined()
      expect(chips(text)).toEqual([])
    }
  })

  test('pipes are no clauses, and a bar in quotes or a regex is no pipe', () => {
    expect(shown('service:cart | stats count() by host | limit 5')).toEqual(['service=cart'])
    expect(shown('| stats count()')).toEqual([])
    expect(shown('body:/a|b/ msg:"x|y"|stats count()')).toEqual(['body=/a|b/', 'msg=x|y'])
    expect(cutPipes('a:b | limit 5')).toEqual(['a:b ', '| limit 5'])
    expect(cutPipes('body:/a|b/')).toEqual(['body:/a|b/', ''])
  })

  test('words with punctuation stay words', () => {
    expect(chips("it's 10.0.0.7 a/b [main] -- (x:y)")).toEqual([])
  })
})

describe('edits are written back into it', () => {
  test('include says a filter once and replaces its opposite', () => {
    expect(include('', 'level', 'error')).toBe('level:error')
    expect(include('*', 'level', 'error')).toBe('level:error')
    expect(include('timeout', 'level', 'error')).toBe('timeout level:error')
    expect(include('timeout level:error', 'level', 'error')).toBe('timeout level:error')
    expect(include('timeout NOT level:error x', 'level', 'error')).toBe('timeout x level:error')
    expect(include('level:error', 'level', 'error', true)).toBe('-level:error')
    expect(include('a OR b', 'level', 'error')).toBe('(a OR b) level:error')
    expect(include('a | stats count()', 'level', 'error')).toBe('a level:error | stats count()')
    expect(include('| stats count()', 'level', 'error')).toBe('level:error | stats count()')
  })

  test('what is included is one chip with that very value', () => {
    const values = ['plain', 'two words', 'say "hi"', 'back\\slash', '/var/log/a.log', '10.0.0.7', '-5', 'AND', 'a*b', '结账 服务', 'x)', '', ' ', 'tab\there', '2026-11-25T01:00:00Z']
    for (const value of values) {
      for (const negated of [false, true]) {
        const text = include('free text', 'http.path', value, negated)
        const found = chips(text)
        expect(found.map(shownValue), text).toEqual([value])
        expect(found[0]!.negated).toBe(negated)
        expect(remove(text, found[0]!)).toBe('free text')
      }
    }
  })

  test('remove takes the AND with it', () => {
    const cut = (text: string, index: number) => remove(text, chips(text)[index]!)
    expect(cut('a AND level:error AND b', 0)).toBe('a AND b')
    expect(cut('level:error AND b', 0)).toBe('b')
    expect(cut('a AND level:error', 0)).toBe('a')
    expect(cut('NOT level:error', 0)).toBe('')
  })

  test('negating twice is the same clause', () => {
    const text = 'a NOT level:error b'
    const once = negate(text, chips(text)[0]!)
    expect(once).toBe('a level:error b')
    expect(negate(once, chips(once)[0]!)).toBe('a -level:error b')
  })

  test('only plain words go without quotes', () => {
    expect(['web-1', 'a.b', 'a b', '-x', 'a:b', '"'].map(quote)).toEqual(['web-1', 'a.b', '"a b"', '"-x"', '"a:b"', '"\\""'])
    expect(clauseText('level', 'error', true)).toBe('-level:error')
  })
})

test('byte offsets of the server become positions in the string', () => {
  const text = 'a é 中 😀 z'
  const bytes = new TextEncoder()
  for (let at = 0; at <= text.length; at++) {
    if (text.codePointAt(at)! >= 0xdc00 && text.codePointAt(at)! < 0xe000) continue
    expect(fromByteOffset(text, bytes.encode(text.slice(0, at)).length)).toBe(at)
  }
})

describe('the index is a clause like others', () => {
  test('it is read out of the text where it stands for all of it', () => {
    expect(['index:spans', 'a index:"spans" b', 'a', '-index:spans', 'a OR index:spans', '(index:spans)'].map(indexIn)).toEqual(['spans', 'spans', undefined, undefined, undefined, undefined])
  })

  test('it is changed and taken out without a change of the rest', () => {
    expect(withIndex('', 'spans')).toBe('index:spans')
    expect(withIndex('index:spans', undefined)).toBe('')
    expect(withIndex('service:cart AND index:spans duration:>1s', undefined)).toBe('service:cart duration:>1s')
    expect(withIndex('index:_rejected x', 'spans')).toBe('x index:spans')
    expect(withIndex('a OR b', 'spans')).toBe('(a OR b) index:spans')
    expect(withIndex('a | stats count()', 'spans')).toBe('a index:spans | stats count()')
  })
})
