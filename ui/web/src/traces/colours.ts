/** A colour for each service: by its name, so that it is the same tomorrow, and another for each of a few. */

export const COLOURS = 12

export function coloursOf(names: Iterable<string>): Map<string, number> {
  const given = new Map<string, number>()
  const taken = new Set<number>()
  for (const name of [...new Set(names)].sort()) {
    let colour = hash(name) % COLOURS
    // Past as many services as colours some must share.
    if (taken.size < COLOURS) while (taken.has(colour)) colour = (colour + 5) % COLOURS
    taken.add(colour)
    given.set(name, colour)
  }
  return given
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value >>> 0
}

export const colourVariable = (colour: number | undefined): string => `--service-${colour ?? 0}`
export const colourValue = (colour: number | undefined): string => `var(${colourVariable(colour)})`
