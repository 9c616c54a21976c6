/** Moving through rows by keyboard; the same keys in search and live tail. */
import type { Hit } from '../api/types'
import { useKeys } from '../shell/keys'
import { isError } from './level'
import { rowId, type Row } from './Rows'

interface Options {
  rows: Row[]
  active: string | undefined
  selected: string | undefined
  setActive: (id: string) => void
  open: (hit: Hit) => void
  close: () => void
  toggleWrap: () => void
  copyLink: (hit: Hit) => void
  openTrace?: ((hit: Hit) => void) | undefined
}

export function useRowKeys({ rows, active, selected, setActive, open, close, toggleWrap, copyLink, openTrace }: Options): { step: (direction: -1 | 1) => void } {
  const index = () => rows.findIndex((row) => rowId(row) === active)
  const go = (to: number) => {
    const row = rows[to]
    if (!row) return
    setActive(rowId(row))
    // Open details follow the row.
    if (selected !== undefined && row.kind === 'hit') open(row.hit)
  }
  const step = (direction: -1 | 1) => {
    const at = index()
    go(at < 0 ? (direction === 1 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + direction)))
  }
  const error = (direction: -1 | 1) => {
    for (let at = index() + direction; at >= 0 && at < rows.length; at += direction) {
      const row = rows[at]!
      if (row.kind === 'hit' && isError(row.hit.level)) return go(at)
    }
  }
  const hit = (): Hit | undefined => {
    const row = rows[index()]
    return row?.kind === 'hit' ? row.hit : undefined
  }
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    e: () => error(1),
    E: () => error(-1),
    Enter: () => {
      const at = hit()
      if (at) open(at)
    },
    Escape: close,
    w: toggleWrap,
    v: () => {
      const at = hit()
      if (at?.trace_id) openTrace?.(at)
    },
    y: () => {
      const at = hit()
      if (at) copyLink(at)
    },
  })
  return { step }
}
