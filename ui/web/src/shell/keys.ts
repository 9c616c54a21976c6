/** Keyboard shortcuts: single keys and two-key sequences, silent while somebody types. */
import { useEffect, useRef } from 'react'

export type Keymap = Record<string, (event: KeyboardEvent) => void>

const SEQUENCE_MS = 900
const OFF = 'logboom.keys'

let enabled = readEnabled()
let pending = ''
let pendingUntil = 0

function readEnabled(): boolean {
  try {
    return localStorage.getItem(OFF) !== 'off'
  } catch {
    return true
  }
}

export const keysEnabled = (): boolean => enabled

/** WCAG 2.1.4: shortcuts of one character must be possible to turn off. */
export function setKeysEnabled(on: boolean): void {
  enabled = on
  try {
    localStorage.setItem(OFF, on ? 'on' : 'off')
  } catch {
    // The choice then holds until the page is closed.
  }
}

const types = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))

const layers: { current: Keymap }[] = []

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  const key = event.key === ' ' ? 'Space' : event.key
  if (types(event.target) || (event.target instanceof HTMLElement && event.target.closest('[role=dialog][data-modal]'))) return
  // Space and Enter belong to a focused button or link.
  if ((key === 'Space' || key === 'Enter') && event.target instanceof HTMLElement && event.target.closest('button, a, [role=tab], summary')) return
  if (!enabled && key.length === 1) return
  const now = event.timeStamp
  const sequence = pending !== '' && now < pendingUntil ? `${pending} ${key}` : key
  pending = ''
  for (const layer of [...layers].reverse()) {
    const action = layer.current[sequence]
    if (action) {
      event.preventDefault()
      action(event)
      return
    }
  }
  if (sequence === 'g') {
    pending = 'g'
    pendingUntil = now + SEQUENCE_MS
  }
}

/** Puts keys in force while the component is there; later components go before earlier ones. */
export function useKeys(keymap: Keymap): void {
  const layer = useRef(keymap)
  useEffect(() => {
    layer.current = keymap
  })
  useEffect(() => {
    if (layers.length === 0) document.addEventListener('keydown', onKey)
    layers.push(layer)
    return () => {
      layers.splice(layers.indexOf(layer), 1)
      if (layers.length === 0) document.removeEventListener('keydown', onKey)
    }
  }, [])
}
