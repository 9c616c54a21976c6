/**
 * Sends spans, and a log record in each of them, with the OpenTelemetry SDK as an application would.
 *
 * usage: send.js ENDPOINT grpc|protobuf|json COUNT MANIFEST
 *
 * Writes to MANIFEST, a JSON object a line, what was sent, for the test to compare field by field.
 * Ends with 1 when the SDK gave up on anything.
 */
import { writeFileSync } from "node:fs";
import { context, diag, DiagLogLevel, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const SPANS_OF_A_TRACE = 5;
const KINDS = [SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER];
const SEVERITIES = [1, 5, 9, 13, 17, 21];
const STATUSES = ["unset", "ok", "error"];

const [endpoint, protocol, countText, manifest] = process.argv.slice(2);
const count = Number(countText);

const lost = [];
const silent = () => {};
diag.setLogger({ error: (...message) => lost.push(message.join(" ")), warn: silent, info: silent, debug: silent, verbose: silent }, DiagLogLevel.ERROR);

const flavour = { grpc: "grpc", protobuf: "proto", json: "http" }[protocol];
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${flavour}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${flavour}`);
const at = (path) => ({ url: protocol === "grpc" ? endpoint : `${endpoint}${path}`, timeoutMillis: 30_000, concurrencyLimit: 100 });
const batches = { maxQueueSize: 4 * count, scheduledDelayMillis: 100, exportTimeoutMillis: 60_000 };

const resource = resourceFromAttributes({ "service.name": `javascript-${protocol}`, "host.name": "host-7", "service.version": "1.2.3" });
const tracing = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(at("/v1/traces")), batches)] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(at("/v1/logs")), ...batches })] });
tracing.register();
const tracer = tracing.getTracer("senders", "0.1");
const logger = logs.getLogger("senders", "0.1");

const attributes = (n) => ({ n, ratio: n / 4, even: n % 2 === 0, text: `订单 ${n}`, list: [n, n + 1], "net.peer.name": "10.0.0.7" });
const nanoseconds = ([seconds, rest]) => BigInt(seconds) * 1_000_000_000n + BigInt(rest);
const sent = [];

function send(n) {
  const span = tracer.startSpan(`step ${n % 10}`, { kind: KINDS[n % 5], attributes: attributes(n) });
  const { traceId, spanId } = span.spanContext();
  const ids = { trace_id: traceId, span_id: spanId };
  context.with(trace.setSpan(context.active(), span), () => {
    const now = Date.now();
    const body = `step ${n} of the order\nis done`;
    logger.emit({ timestamp: now, observedTimestamp: now, severityNumber: SEVERITIES[n % 6], body, attributes: attributes(n) });
    sent.push({ signal: "logs", n, time_ns: BigInt(now) * 1_000_000n, severity: SEVERITIES[n % 6], body, attributes: attributes(n), ...ids });
    if (n % 7 === 0) span.addEvent("retry", { attempt: n });
    if (n % 11 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: `no stock for ${n}` });
    if ((n + 1) % SPANS_OF_A_TRACE) send(n + 1);
  });
  span.end();
  sent.push({
    signal: "traces", n, name: span.name, kind: SpanKind[span.kind].toLowerCase(),
    start_ns: nanoseconds(span.startTime), end_ns: nanoseconds(span.endTime),
    status: STATUSES[span.status.code], status_message: span.status.message ?? null,
    parent_id: span.parentSpanContext?.spanId ?? null, events: span.events.map((event) => event.name), attributes: attributes(n), ...ids,
  });
}

for (let first = 0; first < count; first += SPANS_OF_A_TRACE) {
  send(first);
  if (first % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 200));
}
await tracing.shutdown();
await logs.shutdown();
const text = (item) => JSON.stringify(item, (_, value) => (typeof value === "bigint" ? `bigint:${value}` : value)).replace(/"bigint:(\d+)"/g, "$1");
writeFileSync(manifest, sent.map((item) => `${text(item)}\n`).join(""));
for (const message of lost) console.error(message);
process.exit(lost.length === 0 ? 0 : 1);
