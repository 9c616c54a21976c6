/** Addresses of the page. Search comes with the first load; the other pages when they are opened. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { t } from './i18n'
import { readAddress, readQueryString, writeQueryString } from './search/address'
import { SearchPage } from './search/SearchPage'
import { Failure } from './shell/Failure'
import { Empty } from './shell/Empty'
import { Shell } from './shell/Shell'
import { readServicesAddress, readTraceAddress, readTracesAddress, SHORT } from './traces/address'

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Empty title={t.shell.notFound} />,
})

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/search' })
  },
})

const searchRoute = createRoute({
  getParentRoute: () => root,
  path: '/search',
  validateSearch: readAddress,
  component: SearchPage,
})

const liveRoute = createRoute({
  getParentRoute: () => root,
  path: '/live',
  validateSearch: readAddress,
  component: lazyRouteComponent(() => import('./live/LivePage'), 'LivePage'),
})

const tracesRoute = createRoute({
  getParentRoute: () => root,
  path: '/traces',
  validateSearch: readTracesAddress,
  // The router keeps parameters that it does not know, and these would be put into every later query again.
  beforeLoad: ({ location }) => {
    if (SHORT.some((name) => name in location.search)) throw redirect({ to: '/traces', search: readTracesAddress(location.search), replace: true })
  },
  component: lazyRouteComponent(() => import('./traces/TracesPage'), 'TracesPage'),
})

const traceRoute = createRoute({
  getParentRoute: () => root,
  path: '/traces/$id',
  validateSearch: readTraceAddress,
  component: lazyRouteComponent(() => import('./trace/TracePage'), 'TracePage'),
})

const servicesRoute = createRoute({
  getParentRoute: () => root,
  path: '/services',
  validateSearch: readServicesAddress,
  component: lazyRouteComponent(() => import('./services/ServicesPage'), 'ServicesPage'),
})

export type AlertsTab = 'firing' | 'rules' | 'history' | 'receivers'

const alertsRoute = createRoute({
  getParentRoute: () => root,
  path: '/alerts',
  validateSearch: (raw: Record<string, unknown>): { tab?: AlertsTab } =>
    raw.tab === 'rules' || raw.tab === 'history' || raw.tab === 'receivers' ? { tab: raw.tab } : {},
  component: lazyRouteComponent(() => import('./alerts/AlertsPage'), 'AlertsPage'),
})

const pipelineRoute = createRoute({
  getParentRoute: () => root,
  path: '/pipeline',
  component: lazyRouteComponent(() => import('./pipeline/PipelinePage'), 'PipelinePage'),
})

export const router = createRouter({
  routeTree: root.addChildren([home, searchRoute, liveRoute, tracesRoute, traceRoute, servicesRoute, alertsRoute, pipelineRoute]),
  parseSearch: readQueryString,
  stringifySearch: writeQueryString,
  defaultPreload: 'intent',
  defaultErrorComponent: ({ error }) => <Failure message={`${t.shell.broken} ${error instanceof Error ? error.message : String(error)}`} onRetry={() => location.reload()} />,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
