"""Sends spans, and a log record in each of them, with the OpenTelemetry SDK as an application would.

usage: send.py ENDPOINT grpc|protobuf COUNT MANIFEST

Writes to MANIFEST, a JSON object a line, what was sent, for the test to compare field by field.
Ends with 1 when the SDK gave up on anything.
"""

import json
import logging
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

SPANS_OF_A_TRACE = 5
KINDS = [SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]
SEVERITIES = [SeverityNumber.TRACE, SeverityNumber.DEBUG, SeverityNumber.INFO, SeverityNumber.WARN,
              SeverityNumber.ERROR, SeverityNumber.FATAL]


def exporters(endpoint, protocol):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        return (OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=30),
                OTLPLogExporter(endpoint=endpoint, insecure=True, timeout=30))
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return (OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=Compression.Gzip, timeout=30),
            OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", compression=Compression.Gzip, timeout=30))


def attributes(n):
    return {"n": n, "ratio": n / 4, "even": n % 2 == 0, "text": f"订单 {n}", "list": [n, n + 1], "net.peer.name": "10.0.0.7"}


class GaveUp(logging.Handler):
    """Notes what the SDK reports as lost."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())


def main(endpoint, protocol, count, manifest):
    gave_up = GaveUp()
    logging.getLogger("opentelemetry").addHandler(gave_up)
    span_exporter, log_exporter = exporters(endpoint, protocol)
    resource = Resource.create({"service.name": f"python-{protocol}", "host.name": "host-7", "service.version": "1.2.3"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(
        span_exporter, max_queue_size=4 * count, schedule_delay_millis=100, export_timeout_millis=60_000))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(
        log_exporter, max_queue_size=4 * count, schedule_delay_millis=100, export_timeout_millis=60_000))
    tracer = tracing.get_tracer("senders", "0.1")
    logger = logs.get_logger("senders", "0.1")

    sent = []

    def send(n):
        span = tracer.start_span(f"step {n % 10}", kind=KINDS[n % 5], attributes=attributes(n))
        with trace.use_span(span, end_on_exit=False):
            at = time.time_ns()
            logger.emit(LogRecord(
                timestamp=at, observed_timestamp=at, severity_number=SEVERITIES[n % 6],
                body=f"step {n} of the order\nis done", attributes=attributes(n), context=None))
            sent.append({"signal": "logs", "n": n, "time_ns": at, "severity": SEVERITIES[n % 6].value,
                         "body": f"step {n} of the order\nis done", "attributes": attributes(n), **ids(span)})
            if n % 7 == 0:
                span.add_event("retry", {"attempt": n})
            if n % 11 == 0:
                span.set_status(Status(StatusCode.ERROR, f"no stock for {n}"))
            if (n + 1) % SPANS_OF_A_TRACE:
                send(n + 1)
        span.end()
        sent.append({"signal": "traces", "n": n, "name": span.name, "kind": span.kind.name.lower(),
                     "start_ns": span.start_time, "end_ns": span.end_time,
                     "status": span.status.status_code.name.lower(), "status_message": span.status.description,
                     "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
                     "events": [event.name for event in span.events], "attributes": attributes(n), **ids(span)})

    for first in range(0, count, SPANS_OF_A_TRACE):
        send(first)
        if first % 500 == 0:
            time.sleep(0.2)
    tracing.shutdown()
    logs.shutdown()
    with open(manifest, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(item) + "\n" for item in sent)
    lost = [message for message in gave_up.seen if "Transient" not in message]
    for message in lost:
        print(message, file=sys.stderr)
    return 1 if lost else 0


def ids(span):
    context = span.get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
