import { tracing, type TracingTexts } from './en.tracing'

/** The texts of traces and services in use; see `index.ts`. */
export const tt: TracingTexts = tracing
