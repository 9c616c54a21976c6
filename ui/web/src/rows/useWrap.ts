import { useState } from 'react'

/** Wrapping belongs to the screen, not to the link, so it is kept on the device. */
export function useWrap(): [boolean, () => void] {
  const [wrap, setWrap] = useState(() => {
    try {
      return localStorage.getItem('logboom.wrap') === 'on'
    } catch {
      return false
    }
  })
  const toggle = () => {
    setWrap(!wrap)
    try {
      localStorage.setItem('logboom.wrap', wrap ? 'off' : 'on')
    } catch {
      // The choice then holds until the page is closed.
    }
  }
  return [wrap, toggle]
}
