/** Spans and lines, and how they are written in OTLP's JSON. */
import type { Logboom } from "./logboom.js";

/** Numbers of the protocol. */
export const INTERNAL = 1;
export const SERVER = 2;
export const CLIENT = 3;
export const PRODUCER = 4;
export const CONSUMER = 5;
const STATUS_ERROR = 2;
const SEVERITY = { debug: 5, info: 9, warn: 13, error: 17 } as const;

/** Of one request; a receiver takes up to some MiB. */
const SPANS_A_REQUEST = 5_000;

export type Values = Record<string, string | number | boolean>;
export type Level = keyof typeof SEVERITY;

export interface Span {
  traceId: string;
  spanId: string;
  parent: Span | undefined;
  service: string;
  operation: string;
  kind: number;
  /** Since the epoch. */
  startNs: bigint;
  durationNs: number;
  attributes: Values;
  events: { name: string; atNs: bigint; attributes: Values }[];
  /** What went wrong. */
  failed: string | undefined;
}

export interface Line {
  span: Span;
  atNs: bigint;
  level: Level;
  text: string;
}

/** What a service view counts: who was asked from outside. */
export const isRequest = (span: Span): boolean => span.kind === SERVER || span.kind === CONSUMER || span.parent === undefined;

export async function sendSpans(server: Logboom, spans: Span[]): Promise<void> {
  for (let at = 0; at < spans.length; at += SPANS_A_REQUEST) {
    const some = byService(spans.slice(at, at + SPANS_A_REQUEST), (span) => span.service);
    await server.send("traces", { resourceSpans: some.map(([service, own]) => ({ resource: resource(service), scopeSpans: [{ scope: { name: "shop.tracing", version: "2.1.0" }, spans: own.map(spanOf) }] })) });
  }
}

export async function sendLines(server: Logboom, lines: Line[]): Promise<void> {
  const all = byService(lines, (line) => line.span.service);
  await server.send("logs", { resourceLogs: all.map(([service, own]) => ({ resource: resource(service), scopeLogs: [{ logRecords: own.map(recordOf) }] })) });
}

function byService<T>(items: T[], service: (item: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(service(item));
    if (group) group.push(item);
    else groups.set(service(item), [item]);
  }
  return [...groups];
}

const resource = (service: string) => ({
  attributes: attributesOf({ "service.name": service, "service.version": "1.14.2", "host.name": `${service}-7d9f`, "deployment.environment.name": "production" }),
});

const spanOf = (span: Span) => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parent?.spanId ?? "",
  name: span.operation,
  kind: span.kind,
  startTimeUnixNano: String(span.startNs),
  endTimeUnixNano: String(span.startNs + BigInt(span.durationNs)),
  attributes: attributesOf(span.attributes),
  events: span.events.map((event) => ({ name: event.name, timeUnixNano: String(event.atNs), attributes: attributesOf(event.attributes) })),
  status: span.failed === undefined ? {} : { code: STATUS_ERROR, message: span.failed },
});

const recordOf = (line: Line) => ({
  timeUnixNano: String(line.atNs),
  severityNumber: SEVERITY[line.level],
  severityText: line.level.toUpperCase(),
  body: { stringValue: line.text },
  traceId: line.span.traceId,
  spanId: line.span.spanId,
});

const attributesOf = (values: Values) =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === "string" ? { stringValue: value } : typeof value === "boolean" ? { boolValue: value } : Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value },
  }));
