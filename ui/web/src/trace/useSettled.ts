/**
 * A value that changes at once on the page and in the address when it has come to rest.
 *
 * A key that is held down would write the address thirty times a second, which browsers refuse after a while.
 */
import { useCallback, useEffect, useRef, useState } from 'react'

const REST_MS = 200

export function useSettled<T>(written: string | undefined, read: (text: string | undefined) => T, write: (value: T) => string | undefined, tell: (text: string | undefined) => void): [T, (value: T) => void] {
  const [value, setValue] = useState(() => read(written))
  const told = useRef(written)
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined)
  const act = useRef({ read, write, tell })
  useEffect(() => {
    act.current = { read, write, tell }
  })
  useEffect(() => {
    // Somebody else's change, as by Back or a link.
    if (written === told.current) return
    told.current = written
    clearTimeout(rest.current)
    setValue(act.current.read(written))
  }, [written])
  // Whoever has left the page must not be called back to it.
  useEffect(() => () => clearTimeout(rest.current), [])
  const set = useCallback((next: T) => {
    setValue(next)
    clearTimeout(rest.current)
    rest.current = setTimeout(() => {
      told.current = act.current.write(next)
      act.current.tell(told.current)
    }, REST_MS)
  }, [])
  return [value, set]
}
