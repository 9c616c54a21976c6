/** What surrounds every page: the rail, the help sheet, the keys that work anywhere. */
import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { useEffect, useState, type ReactNode } from 'react'
import { alerts } from '../api/client'
import { t } from '../i18n'
import { HelpSheet } from './HelpSheet'
import { BellIcon, HelpIcon, LiveIcon, MoonIcon, PipelineIcon, ScreenIcon, SearchIcon, ServicesIcon, SunIcon, TraceIcon } from './icons'
import { useKeys } from './keys'
import { nextTheme, useTheme } from './theme'

export function Shell() {
  const [help, setHelp] = useState(false)
  const navigate = useNavigate()
  const page = useLocation({ select: (location) => location.pathname.split('/')[1] })
  useEffect(() => {
    const name = t.pages[page as keyof typeof t.pages] as string | undefined
    document.title = name ? `${name} · logboom` : 'logboom'
  }, [page])
  useKeys({
    'g s': () => void navigate({ to: '/search' }),
    'g l': () => void navigate({ to: '/live' }),
    'g t': () => void navigate({ to: '/traces' }),
    'g v': () => void navigate({ to: '/services' }),
    'g a': () => void navigate({ to: '/alerts' }),
    'g p': () => void navigate({ to: '/pipeline' }),
    '?': () => setHelp(true),
  })
  return (
    <div className="shell">
      <a className="skip" href="#content">{t.shell.skip}</a>
      <nav className="rail" aria-label={t.shell.main}>
        <Link to="/search" className="brand" aria-label="logboom">
          <img src="/icon.svg" width="26" height="26" alt="" />
        </Link>
        <RailLink to="/search" label={t.pages.search} icon={<SearchIcon />} keys="g s" />
        <RailLink to="/live" label={t.pages.live} icon={<LiveIcon />} keys="g l" />
        <RailLink to="/traces" label={t.pages.traces} icon={<TraceIcon />} keys="g t" />
        <RailLink to="/services" label={t.pages.services} icon={<ServicesIcon />} keys="g v" />
        <RailLink to="/alerts" label={t.pages.alerts} icon={<BellIcon />} keys="g a"><FiringBadge /></RailLink>
        <RailLink to="/pipeline" label={t.pages.pipeline} icon={<PipelineIcon />} keys="g p" />
        <span className="spacer" />
        <ThemeButton />
        <button type="button" className="rail-button" aria-label={t.shell.help} title={`${t.shell.help} (?)`} onClick={() => setHelp(true)}><HelpIcon /></button>
      </nav>
      <main id="content" className="content">
        <Outlet />
      </main>
      {help && <HelpSheet onClose={() => setHelp(false)} />}
    </div>
  )
}

function RailLink({ to, label, icon, keys, children }: { to: string; label: string; icon: ReactNode; keys: string; children?: ReactNode }) {
  return (
    <Link to={to} className="rail-link" activeProps={{ className: 'current', 'aria-current': 'page' }} title={`${label} (${keys})`}>
      {icon}
      <span>{label}</span>
      {children}
    </Link>
  )
}

function FiringBadge() {
  const found = useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => alerts(signal), refetchInterval: 10_000, retry: false })
  const firing = found.data?.filter((alert) => alert.state === 'firing').length ?? 0
  return firing > 0 ? <span className="rail-badge" aria-label={t.shell.firing(firing)}>{firing > 99 ? '99+' : firing}</span> : null
}

function ThemeButton() {
  const theme = useTheme()
  return (
    <button type="button" className="rail-button" aria-label={t.shell.theme[theme]} title={t.shell.theme[theme]} onClick={nextTheme}>
      {theme === 'light' ? <SunIcon /> : theme === 'dark' ? <MoonIcon /> : <ScreenIcon />}
    </button>
  )
}
