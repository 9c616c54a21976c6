/** The range of an address with one fixed `now`, so that everything on a page speaks of the same time. */
import { useMemo, useState } from 'react'
import { rangeOf, zoneOf, type Window } from '../search/address'
import { fromMillis } from './instant'
import { resolve, type Bounds } from './range'

export interface FixedBounds {
  /** Undefined where the address has a range that cannot be read. */
  bounds: Bounds | undefined
  /** As the API takes them. */
  from: string | undefined
  to: string | undefined
  /** Counts how often it was asked again; part of a query's key. */
  run: number
  /** A new now. */
  again: () => void
}

export function useBounds(address: Window): FixedBounds {
  const [run, setRun] = useState(0)
  const { from, to } = rangeOf(address)
  const zone = zoneOf(address)
  const bounds = useMemo(() => resolve({ from, to }, zone, fromMillis(Date.now())), [from, to, zone, run])
  return { bounds, from: bounds?.from?.toString(), to: bounds?.to?.toString(), run, again: () => setRun(run + 1) }
}
