import { expect, test } from 'vitest'
import { Ring } from './ring'

test('a ring is the end of the list that was pushed, whatever its length', () => {
  for (const capacity of [1, 2, 7]) {
    const ring = new Ring<number>(capacity)
    const model: number[] = []
    for (let item = 0; item < 40; item++) {
      ring.push(item)
      model.push(item)
      expect(ring.toArray()).toEqual(model.slice(-capacity))
      expect(ring.size).toBe(Math.min(model.length, capacity))
      expect(ring.fallen).toBe(Math.max(0, model.length - capacity))
    }
    ring.clear()
    expect([ring.toArray(), ring.size, ring.fallen]).toEqual([[], 0, 0])
    ring.push(99)
    expect(ring.toArray()).toEqual([99])
  }
})
