import { describe, expect, test } from 'vitest'
import { clamp, pan, readView, ticks, viewText, zoom } from './axis'
import { criticalPath } from './critical'
import { findSpans } from './find'
import { answerOf, randomAnswer, type Given } from './testing'
import { EARLY, LOOP, ORPHAN, rootOf, selfTime, treeOf } from './tree'
import { collapseTo, fold, longerThan, nextWhere, positionOf, reveal, visibleSpans } from './visible'

const tree = (given: Given[]) => treeOf(answerOf(given))
const names = (trace: ReturnType<typeof tree>, indexes: ArrayLike<number>) => Array.from(indexes, (at) => trace.operations[trace.operation[at]!])

// root ├ a ├ a1          b overlaps a, c comes after both.
//      │   └ a2
//      ├ b
//      └ c ─ c1
const SHOP: Given[] = [
  { name: 'root', parent: -1, start: 0, duration: 100 },
  { name: 'a', parent: 0, start: 10, duration: 40, service: 'cart' },
  { name: 'a1', parent: 1, start: 12, duration: 5, service: 'db' },
  { name: 'b', parent: 0, start: 15, duration: 20, service: 'pay' },
  { name: 'a2', parent: 1, start: 20, duration: 25, status: 2, service: 'db' },
  { name: 'c', parent: 0, start: 60, duration: 30, service: 'cart' },
  { name: 'c1', parent: 5, start: 61, duration: 60, service: 'mail' },
]

describe('tree', () => {
  test('preorder, depths, sizes and errors below', () => {
    const trace = tree(SHOP)
    expect(names(trace, Array.from({ length: 7 }, (_, at) => at))).toEqual(['root', 'a', 'a1', 'a2', 'b', 'c', 'c1'])
    expect([...trace.depth]).toEqual([0, 1, 2, 2, 1, 1, 2])
    expect([...trace.size]).toEqual([7, 3, 1, 1, 1, 2, 1])
    expect([...trace.parent]).toEqual([-1, 0, 1, 1, 0, 0, 5])
    expect([...trace.errors]).toEqual([1, 1, 0, 1, 0, 0, 0])
    expect(trace.errorCount).toBe(1)
    expect(rootOf(trace)).toBe(0)
  })

  test('orphans stand at the top and are marked; the root is the span without a parent', () => {
    const trace = tree([
      { name: 'lost', parent: -1, start: 0, duration: 5, orphan: true },
      { name: 'root', parent: -1, start: 1, duration: 50 },
      { name: 'under lost', parent: 0, start: 2, duration: 1 },
    ])
    expect(names(trace, [0, 1, 2])).toEqual(['lost', 'under lost', 'root'])
    expect(trace.flags[0]).toBe(ORPHAN)
    expect(trace.orphans).toBe(1)
    expect(rootOf(trace)).toBe(2)
  })

  test('a child that starts before its parent is marked, by how much', () => {
    const trace = tree([
      { name: 'child', parent: 1, start: 0, duration: 5 },
      { name: 'root', parent: -1, start: 30, duration: 50 },
    ])
    expect(names(trace, [0, 1])).toEqual(['root', 'child'])
    expect(trace.flags[1]).toBe(EARLY)
    expect([trace.early, trace.earliestBy]).toEqual([1, 30])
  })

  test('circles of parents are cut once and lose no span', () => {
    const trace = tree([
      { name: 'tail', parent: 2, start: 0, duration: 1 },
      { name: 'x', parent: 2, start: 1, duration: 1 },
      { name: 'y', parent: 3, start: 2, duration: 1 },
      { name: 'z', parent: 1, start: 3, duration: 1 },
      { name: 'self', parent: 4, start: 4, duration: 1 },
    ])
    expect([...names(trace, [0, 1, 2, 3, 4])].sort()).toEqual(['self', 'tail', 'x', 'y', 'z'])
    expect(Array.from(trace.flags).filter((flags) => flags & LOOP)).toHaveLength(1)
    expect(trace.size[trace.at.get('0000000000000001')!]).toBe(4)
  })

  test('any trace keeps every span once, parents before children', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const answer = randomAnswer(seed, 40)
      const trace = treeOf(answer)
      expect(new Set(trace.ids).size).toBe(40)
      for (let at = 0; at < trace.count; at++) {
        const parent = trace.parent[at]!
        if (parent < 0) continue
        expect(parent < at && at < parent + trace.size[parent]!).toBe(true)
        expect(trace.depth[at]).toBe(trace.depth[parent]! + 1)
      }
    }
  })

  test('a chain of 50,000 spans neither overflows nor takes long', () => {
    const began = performance.now()
    const trace = tree(Array.from({ length: 50_000 }, (_, at) => ({ name: 'n', parent: at - 1, start: at, duration: 100_000 - 2 * at })))
    expect(trace.maxDepth).toBe(49_999)
    expect(trace.size[0]).toBe(50_000)
    expect(criticalPath(trace).stretches.at(-1)!.to).toBe(100_000)
    expect(performance.now() - began).toBeLessThan(1500)
  })

  test('self time is what no child covers, overlaps counted once, overhang not at all', () => {
    const trace = tree(SHOP)
    expect(selfTime(trace, 0)).toBe(100 - 40 - 30)
    expect(selfTime(trace, 1)).toBe(40 - 5 - 25)
    expect(selfTime(trace, 5)).toBe(30 - 29)
    expect(selfTime(trace, 2)).toBe(5)
  })
})

describe('what is shown', () => {
  const trace = tree(SHOP)
  const none = new Uint8Array(7)

  test('collapsing a span hides what is below it, and nothing else', () => {
    expect(names(trace, visibleSpans(trace, fold(trace, none, 1, true)))).toEqual(['root', 'a', 'b', 'c', 'c1'])
    expect(names(trace, visibleSpans(trace, collapseTo(trace, 0)))).toEqual(['root'])
    expect(names(trace, visibleSpans(trace, collapseTo(trace, 1)))).toEqual(['root', 'a', 'b', 'c'])
    expect(names(trace, visibleSpans(trace, fold(trace, collapseTo(trace, 0), 0, false)))).toEqual(['root', 'a', 'b', 'c'])
    expect(visibleSpans(trace, fold(trace, collapseTo(trace, 0), 0, false, true))).toHaveLength(7)
  })

  test('a hidden span is revealed by unfolding only what is above it', () => {
    const all = collapseTo(trace, 0)
    expect(names(trace, visibleSpans(trace, reveal(trace, all, 3)))).toEqual(['root', 'a', 'a1', 'a2', 'b', 'c'])
    expect(reveal(trace, none, 3)).toBe(none)
  })

  test('short spans go; errors and what is above a kept span stay', () => {
    const { keep, hidden } = longerThan(trace, 30)
    expect(names(trace, visibleSpans(trace, none, keep))).toEqual(['root', 'a', 'a2', 'c', 'c1'])
    expect(hidden).toBe(2)
  })

  test('positions and jumps', () => {
    const shown = visibleSpans(trace, fold(trace, none, 1, true))
    expect(positionOf(shown, 5)).toEqual({ position: 3, found: true })
    expect(positionOf(shown, 2)).toEqual({ position: 2, found: false })
    const isError = (at: number) => trace.status[at] === 2
    expect(nextWhere(7, 0, 1, isError)).toBe(3)
    expect(nextWhere(7, 3, 1, isError)).toBeUndefined()
    expect(nextWhere(7, 6, -1, isError)).toBe(3)
  })

  test('search looks at operations, services and ids', () => {
    expect(names(trace, findSpans(trace, 'A'))).toEqual(['a', 'a1', 'a2', 'b', 'c', 'c1'])
    expect(names(trace, findSpans(trace, 'db'))).toEqual(['a1', 'a2'])
    expect(names(trace, findSpans(trace, '0000000000000003'))).toEqual(['b'])
    expect(findSpans(trace, '  ')).toHaveLength(0)
  })
})

describe('critical path', () => {
  test('the last to end is waited for, and before it the last that had ended', () => {
    const trace = tree(SHOP)
    const told = criticalPath(trace).stretches.map(({ span, from, to }) => `${names(trace, [span])[0]} ${from}-${to}`)
    // c1 outlives c and is cut there; b ran beside a and held nobody up.
    expect(told).toEqual(['root 0-10', 'a 10-12', 'a1 12-17', 'a 17-20', 'a2 20-45', 'a 45-50', 'root 50-60', 'c 60-61', 'c1 61-90', 'root 90-100'])
  })

  test('it is the root’s time without gap or overlap, and each stretch lies in its span', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const trace = treeOf(randomAnswer(seed, 60))
      const { stretches, bySpan } = criticalPath(trace)
      const root = rootOf(trace)
      let reached = trace.start[root]!
      for (const { span, from, to } of stretches) {
        expect(from).toBe(reached)
        expect(to).toBeGreaterThan(from)
        expect(from >= trace.start[span]! && to <= trace.start[span]! + trace.length[span]!).toBe(true)
        reached = to
      }
      expect(reached).toBe(trace.start[root]! + trace.length[root]!)
      const sum = [...bySpan.values()].flat().reduce((total, { from, to }) => total + to - from, 0)
      expect(sum).toBe(trace.length[root])
    }
  })
})

describe('time axis', () => {
  test('ticks are round and inside', () => {
    expect(ticks({ from: 0, to: 100 }, 5)).toEqual([0, 20, 40, 60, 80, 100])
    expect(ticks({ from: 1_234_567, to: 1_234_999 }, 4)).toEqual([1_234_600, 1_234_800])
    expect(ticks({ from: 5, to: 5 }, 4)).toEqual([])
  })

  test('a view stays inside the trace, however it is moved', () => {
    expect(clamp({ from: -50, to: 20 }, 1000)).toEqual({ from: 0, to: 100 })
    expect(clamp({ from: 990, to: 2000 }, 1000)).toEqual({ from: 0, to: 1000 })
    expect(zoom({ from: 0, to: 10_000 }, 0.5, 10_000, 10_000)).toEqual({ from: 5000, to: 10_000 })
    expect(zoom({ from: 5000, to: 10_000 }, 4, 7000, 10_000)).toEqual({ from: 0, to: 10_000 })
    expect(pan({ from: 0, to: 400 }, -50, 1000)).toEqual({ from: 0, to: 400 })
    expect(pan({ from: 500, to: 900 }, 500, 1000)).toEqual({ from: 600, to: 1000 })
    expect(clamp({ from: 0, to: 0 }, 0)).toEqual({ from: 0, to: 1 })
  })

  test('the address keeps a view, and none for the whole', () => {
    expect(viewText({ from: 0, to: 500 }, 500)).toBeUndefined()
    expect(readView(viewText({ from: 10.4, to: 499 }, 500))).toEqual({ from: 10, to: 499 })
    expect([undefined, '', '5', '9-2', 'a-b'].map(readView)).toEqual([undefined, undefined, undefined, undefined, undefined])
  })
})
