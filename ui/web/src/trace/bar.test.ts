import { expect, test } from 'vitest'
import { barOf, gradientOf } from './bar'

test('a bar in percent of the view, its text where there is room', () => {
  expect(barOf(10, 20, { from: 0, to: 100 })).toEqual({ left: 10, width: 20, seen: true, label: 'after' })
  expect(barOf(80, 20, { from: 0, to: 100 })).toEqual({ left: 80, width: 20, seen: true, label: 'before' })
  expect(barOf(0, 100, { from: 0, to: 100 })).toEqual({ left: 0, width: 100, seen: true, label: 'inside' })
  expect(barOf(5, 1, { from: 50, to: 60 })).toMatchObject({ seen: false, label: 'left' })
  expect(barOf(75, 1, { from: 50, to: 60 })).toMatchObject({ seen: false, label: 'right' })
  expect(barOf(55, 0, { from: 50, to: 60 })).toMatchObject({ left: 50, width: 0, seen: true })
})

test('zoomed in a million times a bar is still only as wide as the view', () => {
  const bar = barOf(0, 1e12, { from: 5e11, to: 5e11 + 1000 })
  expect(bar).toEqual({ left: -1, width: 102, seen: true, label: 'inside' })
})

test('stretches become one background, joined where they touch', () => {
  const view = { from: 0, to: 100 }
  expect(gradientOf([{ from: 0, to: 50 }], 0, 100, view)).toBe('linear-gradient(90deg, transparent 0%, var(--path-colour) 0%, var(--path-colour) 50%, transparent 50%)')
  expect(gradientOf([{ from: 0, to: 25 }, { from: 25, to: 50 }], 0, 100, view)).not.toContain('transparent 25%')
  expect(gradientOf([{ from: 0, to: 10 }], 0, 100, { from: 50, to: 60 })).toBe('none')
  const many = Array.from({ length: 10_000 }, (_, at) => ({ from: at * 2, to: at * 2 + 1 }))
  expect(gradientOf(many, 0, 20_000, { from: 0, to: 20_000 }).length).toBeLessThan(40_000)
})
