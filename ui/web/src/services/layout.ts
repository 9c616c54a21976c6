/**
 * A layered drawing of who calls whom, left to right.
 *
 * The usual four steps: turn around the edges that close circles, put every node a layer right of its
 * callers, order the layers so that few lines cross, then give places. Long edges pass each layer between
 * through a point of their own, so that no line runs over a node. The same graph gives the same picture.
 */

export interface Link {
  from: string
  to: string
}

export interface Placed {
  name: string
  layer: number
  x: number
  y: number
}

export interface Drawn {
  from: string
  to: string
  /** Points from caller to called, the ends on the nodes' sides. */
  points: { x: number; y: number }[]
  /** Runs against the direction of reading, because it closes a circle. */
  backwards: boolean
}

export interface Picture {
  nodes: Placed[]
  links: Drawn[]
  width: number
  height: number
}

export interface Size {
  nodeWidth: number
  nodeHeight: number
  layerGap: number
  rowGap: number
}

const SWEEPS = 12

interface Vertex {
  name: string | undefined
  layer: number
  order: number
  y: number
  before: number[]
  after: number[]
}

export function layout(names: string[], links: Link[], size: Size): Picture {
  const { vertices, chains } = layered([...new Set(names)].sort(), links)
  const layers = byLayer(vertices)
  uncross(layers, vertices)
  placeRows(layers, vertices, size)

  const x = (layer: number) => layer * (size.nodeWidth + size.layerGap)
  const middle = (vertex: Vertex) => vertex.y + size.nodeHeight / 2
  const nodes = vertices.flatMap((vertex) => (vertex.name === undefined ? [] : [{ name: vertex.name, layer: vertex.layer, x: x(vertex.layer), y: vertex.y }]))
  const drawn = chains.map(({ link, backwards, through }) => {
    const points = through.flatMap((index, position) => {
      const vertex = vertices[index]!
      const left = { x: x(vertex.layer), y: middle(vertex) }
      const right = { x: x(vertex.layer) + size.nodeWidth, y: middle(vertex) }
      return position === 0 ? [right] : position === through.length - 1 ? [left] : [left, right]
    })
    return { ...link, backwards, points: backwards ? points.reverse() : points }
  })
  return {
    nodes,
    links: drawn,
    width: Math.max(0, x(layers.length - 1) + size.nodeWidth),
    height: vertices.reduce((most, vertex) => Math.max(most, vertex.y + size.nodeHeight), 0),
  }
}

/** Vertices with their layers; every link as the chain of vertices that it passes. */
function layered(names: string[], links: Link[]) {
  const index = new Map(names.map((name, at) => [name, at]))
  const vertices: Vertex[] = names.map((name) => ({ name, layer: 0, order: 0, y: 0, before: [], after: [] }))
  const known = links
    .filter(({ from, to }) => from !== to && index.has(from) && index.has(to))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : a.to < b.to ? -1 : a.to > b.to ? 1 : 0))
    .filter((link, at, all) => at === 0 || link.from !== all[at - 1]!.from || link.to !== all[at - 1]!.to)
  const ends = known.map((link) => [index.get(link.from)!, index.get(link.to)!] as const)
  const closing = closesCircle(names.length, ends)
  const forward = ends.map(([from, to], at) => (closing[at] ? ([to, from] as const) : ([from, to] as const)))

  const layer = longestPaths(names.length, forward)
  for (let at = 0; at < names.length; at++) vertices[at]!.layer = layer[at]!
  const chains = forward.map(([from, to], at) => {
    const through = [from]
    for (let between = layer[from]! + 1; between < layer[to]!; between++) {
      through.push(vertices.length)
      vertices.push({ name: undefined, layer: between, order: 0, y: 0, before: [], after: [] })
    }
    through.push(to)
    for (let step = 1; step < through.length; step++) {
      vertices[through[step - 1]!]!.after.push(through[step]!)
      vertices[through[step]!]!.before.push(through[step - 1]!)
    }
    return { link: known[at]!, backwards: closing[at]!, through }
  })
  return { vertices, chains }
}

/** Which edges lead back to a node that is still being walked through. */
function closesCircle(count: number, ends: (readonly [number, number])[]): boolean[] {
  const out: number[][] = Array.from({ length: count }, () => [])
  const called = new Uint8Array(count)
  for (const [at, [from, to]] of ends.entries()) {
    out[from]!.push(at)
    called[to] = 1
  }
  const closing = ends.map(() => false)
  const state = new Uint8Array(count) // 0 not seen, 1 on the way, 2 done
  const walk = (start: number) => {
    const way: { node: number; next: number }[] = [{ node: start, next: 0 }]
    state[start] = 1
    while (way.length > 0) {
      const step = way.at(-1)!
      const edge = out[step.node]![step.next++]
      if (edge === undefined) {
        state[step.node] = 2
        way.pop()
        continue
      }
      const to = ends[edge]![1]
      if (state[to] === 1) closing[edge] = true
      else if (state[to] === 0) {
        state[to] = 1
        way.push({ node: to, next: 0 })
      }
    }
  }
  // From those that nobody calls first: then it is the calls back that are turned around.
  for (const wanted of [0, 1]) for (let node = 0; node < count; node++) if (called[node] === wanted && state[node] === 0) walk(node)
  return closing
}

function longestPaths(count: number, edges: (readonly [number, number])[]): Int32Array {
  const layer = new Int32Array(count)
  const missing = new Int32Array(count)
  const out: number[][] = Array.from({ length: count }, () => [])
  for (const [from, to] of edges) {
    missing[to]!++
    out[from]!.push(to)
  }
  const ready = Array.from({ length: count }, (_, node) => node).filter((node) => missing[node] === 0)
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    for (const to of out[node]!) {
      layer[to] = Math.max(layer[to]!, layer[node]! + 1)
      if (--missing[to]! === 0) ready.push(to)
    }
  }
  return layer
}

function byLayer(vertices: Vertex[]): number[][] {
  const layers: number[][] = []
  for (const [at, vertex] of vertices.entries()) (layers[vertex.layer] ??= []).push(at)
  for (const layer of layers) for (const [order, at] of layer.entries()) vertices[at]!.order = order
  return layers
}

/** Sweeps to and fro, each layer ordered by the middle of its neighbours; the best order seen stays. */
function uncross(layers: number[][], vertices: Vertex[]): void {
  let best = layers.map((layer) => [...layer])
  let fewest = crossings(layers, vertices)
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const down = sweep % 2 === 0
    const turn = down ? layers : [...layers].reverse()
    for (const layer of turn) {
      const weight = new Map(layer.map((at) => [at, middleOf(vertices, down ? vertices[at]!.before : vertices[at]!.after, vertices[at]!.order)]))
      layer.sort((a, b) => weight.get(a)! - weight.get(b)! || vertices[a]!.order - vertices[b]!.order)
      for (const [order, at] of layer.entries()) vertices[at]!.order = order
    }
    const now = crossings(layers, vertices)
    if (now < fewest) {
      fewest = now
      best = layers.map((layer) => [...layer])
    }
  }
  for (const [at, layer] of best.entries()) {
    layers[at] = layer
    for (const [order, vertex] of layer.entries()) vertices[vertex]!.order = order
  }
}

const middleOf = (vertices: Vertex[], neighbours: number[], own: number): number =>
  neighbours.length === 0 ? own : neighbours.reduce((sum, at) => sum + vertices[at]!.order, 0) / neighbours.length

/** Pairs of lines that cross: inversions of the far ends, counted with a Fenwick tree. */
function crossings(layers: number[][], vertices: Vertex[]): number {
  let count = 0
  for (const [depth, layer] of layers.entries()) {
    const size = layers[depth + 1]?.length ?? 0
    const tree = new Int32Array(size + 1)
    let seen = 0
    for (const at of layer) {
      const ends = vertices[at]!.after.map((to) => vertices[to]!.order)
      // Lines from one vertex do not cross each other, so they are counted before any is put in.
      for (const end of ends) {
        let before = 0
        for (let index = end + 1; index > 0; index -= index & -index) before += tree[index]!
        count += seen - before
      }
      for (const end of ends) for (let index = end + 1; index <= size; index += index & -index) tree[index]!++
      seen += ends.length
    }
  }
  return count
}

/** Heights: each vertex is drawn towards its neighbours as far as those above and below it allow. */
function placeRows(layers: number[][], vertices: Vertex[], size: Size): void {
  // A line that only passes needs less room than a node.
  const room = (at: number) => (vertices[at]!.name === undefined ? size.nodeHeight * 0.5 : size.nodeHeight)
  for (const layer of layers) {
    let y = 0
    for (const at of layer) {
      vertices[at]!.y = y
      y += room(at) + size.rowGap
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const wished = layer.map((at) => {
        const { before, after, y } = vertices[at]!
        const near = [...before, ...after]
        return near.length === 0 ? y : near.reduce((sum, other) => sum + vertices[other]!.y, 0) / near.length
      })
      settle(layer, wished, vertices, (at) => room(at) + size.rowGap)
    }
  }
  const top = vertices.reduce((least, vertex) => Math.min(least, vertex.y), Infinity)
  for (const vertex of vertices) vertex.y = Math.round(vertex.y - (Number.isFinite(top) ? top : 0))
}

/** Wishes kept as well as the order and the gaps allow: blocks that collide share the mean of their wishes. */
function settle(layer: number[], wished: number[], vertices: Vertex[], room: (at: number) => number): void {
  const blocks: { first: number; count: number; sum: number; height: number }[] = []
  for (const [position, at] of layer.entries()) {
    let block = { first: position, count: 1, sum: wished[position]!, height: room(at) }
    for (let last = blocks.at(-1); last && last.sum / last.count + last.height > block.sum / block.count; last = blocks.at(-1)) {
      blocks.pop()
      // The wish of the lower block, said as a wish for the top of both.
      block = { first: last.first, count: last.count + block.count, sum: last.sum + block.sum - block.count * last.height, height: last.height + block.height }
    }
    blocks.push(block)
  }
  for (const block of blocks) {
    let y = block.sum / block.count
    let placed = 0
    for (let position = block.first; placed < block.height - 1e-9; position++) {
      vertices[layer[position]!]!.y = y
      y += room(layer[position]!)
      placed += room(layer[position]!)
    }
  }
}
