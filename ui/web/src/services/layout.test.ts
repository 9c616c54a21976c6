import { expect, test } from 'vitest'
import { layout, type Link, type Picture } from './layout'

const SIZE = { nodeWidth: 100, nodeHeight: 40, layerGap: 60, rowGap: 20 }

const draw = (text: string, alone: string[] = []): Picture => {
  const links: Link[] = text.split(' ').filter(Boolean).map((pair) => {
    const [from, to] = pair.split('>') as [string, string]
    return { from, to }
  })
  return layout([...links.flatMap(({ from, to }) => [from, to]), ...alone], links, SIZE)
}

function sound(picture: Picture): void {
  for (const [index, node] of picture.nodes.entries()) {
    expect(node.y >= 0 && node.y + SIZE.nodeHeight <= picture.height && node.x + SIZE.nodeWidth <= picture.width, node.name).toBe(true)
    for (const other of picture.nodes.slice(index + 1)) {
      if (other.layer === node.layer) expect(Math.abs(other.y - node.y), `${node.name} ${other.name}`).toBeGreaterThanOrEqual(SIZE.nodeHeight)
    }
  }
  for (const link of picture.links) {
    const first = link.points[0]!.x
    const last = link.points.at(-1)!.x
    expect(link.backwards ? first > last : first < last, `${link.from}>${link.to}`).toBe(true)
    // Between its ends a line runs over no node.
    for (const point of link.points.slice(1, -1)) {
      for (const node of picture.nodes) {
        const inside = point.x > node.x && point.x < node.x + SIZE.nodeWidth && point.y > node.y && point.y < node.y + SIZE.nodeHeight
        expect(inside, `${link.from}>${link.to} over ${node.name}`).toBe(false)
      }
    }
  }
}

const layerOf = (picture: Picture) => Object.fromEntries(picture.nodes.map((node) => [node.name, node.layer]))

test('each service stands right of all its callers', () => {
  const picture = draw('web>cart web>pay cart>db pay>db web>db')
  expect(layerOf(picture)).toEqual({ web: 0, cart: 1, pay: 1, db: 2 })
  sound(picture)
  expect(picture.links.find((link) => link.from === 'web' && link.to === 'db')!.points).toHaveLength(4)
})

test('a circle is drawn with one call backwards, from where nobody calls', () => {
  const picture = draw('web>a a>b b>c c>a')
  expect(layerOf(picture)).toEqual({ web: 0, a: 1, b: 2, c: 3 })
  expect(picture.links.filter((link) => link.backwards).map(({ from, to }) => `${from}>${to}`)).toEqual(['c>a'])
  sound(picture)
  expect(draw('a>b b>a').links.filter((link) => link.backwards)).toHaveLength(1)
})

test('a chain is a straight line; what calls nobody is there too', () => {
  const picture = draw('a>b b>c', ['lonely'])
  const [a, b, c] = ['a', 'b', 'c'].map((name) => picture.nodes.find((node) => node.name === name)!.y)
  expect([b, c]).toEqual([a, a])
  expect(picture.nodes).toHaveLength(4)
  sound(picture)
})

test('lines that need not cross do not', () => {
  const picture = draw('a>z b>y c>x')
  const y = Object.fromEntries(picture.nodes.map((node) => [node.name, node.y]))
  expect(Math.sign(y.z! - y.y!)).toBe(Math.sign(y.a! - y.b!))
  expect(Math.sign(y.y! - y.x!)).toBe(Math.sign(y.b! - y.c!))
})

test('any graph is sound, twice the same, and 150 services take no visible time', () => {
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  for (let round = 0; round < 40; round++) {
    const names = Array.from({ length: 2 + random(14) }, (_, at) => `s${at}`)
    const links = Array.from({ length: random(30) }, () => ({ from: names[random(names.length)]!, to: names[random(names.length)]! }))
    const picture = layout(names, links, SIZE)
    expect(picture.nodes.map((node) => node.name).sort()).toEqual([...names].sort())
    sound(picture)
    expect(layout([...names].reverse(), [...links].reverse(), SIZE)).toEqual(picture)
  }
  const names = Array.from({ length: 150 }, (_, at) => `service-${at}`)
  const links = names.slice(1).flatMap((to, at) => [{ from: names[random(at + 1)]!, to }, { from: names[random(150)]!, to }])
  const began = performance.now()
  layout(names, links, SIZE)
  expect(performance.now() - began).toBeLessThan(1500)
})

test('nothing gives nothing', () => {
  expect(layout([], [], SIZE)).toEqual({ nodes: [], links: [], width: 0, height: 0 })
})
