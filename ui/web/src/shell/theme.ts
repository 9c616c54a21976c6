import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'
const ORDER: Theme[] = ['system', 'light', 'dark']
const listeners = new Set<() => void>()
const prefersDark = matchMedia('(prefers-color-scheme: dark)')

const read = (): Theme => (document.documentElement.dataset.theme as Theme | undefined) ?? 'system'

function listen(listener: () => void): () => void {
  listeners.add(listener)
  prefersDark.addEventListener('change', listener)
  return () => {
    listeners.delete(listener)
    prefersDark.removeEventListener('change', listener)
  }
}

export function nextTheme(): void {
  const theme = ORDER[(ORDER.indexOf(read()) + 1) % ORDER.length]!
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  try {
    localStorage.setItem('logboom.theme', theme)
  } catch {
    // The choice then holds until the page is closed.
  }
  for (const listener of listeners) listener()
}

export const useTheme = (): Theme => useSyncExternalStore(listen, read)

/** What is seen in the end; canvases draw again when it changes. */
export const useScheme = (): 'light' | 'dark' =>
  useSyncExternalStore(listen, () => (read() === 'system' ? (prefersDark.matches ? 'dark' : 'light') : (read() as 'light' | 'dark')))

/** A colour of the tokens as a canvas takes it: variables give `light-dark(…)` unresolved. */
export function resolvedColour(element: HTMLElement, name: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${name})`
  element.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  return value
}
