/** How much of a long list is shown. */

export interface Limits {
  /** Shown at once. */
  few: number
  /** Shown when asked; more would make the page slow. */
  most: number
}

/** `rest` are shown when asked, `lost` never; `cut` are those that the answer has left out already. */
export function shownOf(count: number, cut: number, { few, most }: Limits, more: boolean): { shown: number; rest: number; lost: number } {
  const able = Math.min(count, most)
  const shown = Math.min(able, more ? most : few)
  // Not before the rest is asked for: until then there is one thing to do.
  return { shown, rest: able - shown, lost: able === shown ? count - able + cut : 0 }
}
