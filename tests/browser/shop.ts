/**
 * A shop of a few services: some minutes of its traffic as traces with their lines, and one night's import.
 *
 * What happens in a trace is acted out against a clock, so that calls lie within their callers. Chance
 * has a seed: two runs differ in their times only.
 */
import { CLIENT, CONSUMER, INTERNAL, type Level, type Line, PRODUCER, SERVER, type Span, type Values } from "./otlp.js";

const NS_PER_MS = 1e6;
const NETWORK_MS = 0.4;

export class Random {
  constructor(private state: number) {}

  /** At least 0, less than 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  hex(digits: number): string {
    // A first digit of zero would be no mistake, but an id of nothing but zeros is.
    return (1 + this.below(15)).toString(16) + Array.from({ length: digits - 1 }, () => this.below(16).toString(16)).join("");
  }
}

/** One trace while it happens. */
class Act {
  readonly spans: Span[] = [];
  readonly lines: Line[] = [];
  private readonly traceId: string;
  private readonly open: Span[] = [];

  constructor(
    readonly random: Random,
    private clock: bigint,
  ) {
    this.traceId = random.hex(32);
  }

  /** What happens during `body` happens within the span. */
  within(service: string, operation: string, kind: number, attributes: Values, body: () => void): void {
    const span: Span = { traceId: this.traceId, spanId: this.random.hex(16), parent: this.open.at(-1), service, operation, kind, startNs: this.clock, durationNs: 0, attributes, events: [], failed: undefined };
    this.spans.push(span);
    this.open.push(span);
    body();
    this.open.pop();
    span.durationNs = Number(this.clock - span.startNs);
  }

  /** Another service is asked. */
  call(service: string, operation: string, attributes: Values, body: () => void): void {
    this.within(this.here.service, operation, CLIENT, { "server.address": service }, () => {
      this.exactly(NETWORK_MS);
      this.within(service, operation, SERVER, attributes, body);
      this.exactly(NETWORK_MS);
    });
  }

  query(system: string, text: string, ms: number): void {
    this.within(this.here.service, `${system} ${text.split(" ")[0]}`, CLIENT, { "db.system.name": system, "db.query.text": text }, () => this.work(ms));
  }

  /** As much time as this passes, as likely twice as half of it. */
  work(ms: number): void {
    this.exactly(ms * 2 ** (2 * this.random.next() - 1));
  }

  exactly(ms: number): void {
    this.clock += BigInt(Math.round(ms * NS_PER_MS));
  }

  say(level: Level, text: string): void {
    this.lines.push({ span: this.here, atNs: this.clock, level, text });
  }

  /** The span that is open fails; whoever asked for it may fail in turn. */
  fail(message: string, exception?: string): void {
    this.here.failed = message;
    if (exception === undefined) return;
    const stack = `${exception}: ${message}\n    at charge (/srv/payment/provider.ts:88:11)\n    at async pay (/srv/payment/pay.ts:31:5)\n    at async handle (/srv/payment/server.ts:142:18)`;
    this.here.events.push({ name: "exception", atNs: this.clock, attributes: { "exception.type": exception, "exception.message": message, "exception.stacktrace": stack } });
  }

  private get here(): Span {
    return this.open.at(-1)!;
  }
}

const route = (method: string, path: string, status = 200): Values => ({ "http.request.method": method, "http.route": path, "http.response.status_code": status });

/** How long the payment provider takes in the one trace that is slow. */
export const SLOW_MS = 2_600;
export const SLOW_OPERATION = "POST api.payments.example";

type Order = "paid" | "declined" | "slow";

function checkout(act: Act, order: Order): void {
  const number = 4_000 + act.random.below(900);
  const status = order === "declined" ? 502 : 200;
  act.within("frontend", "POST /checkout", SERVER, { ...route("POST", "/checkout", status), "client.address": `198.51.100.${act.random.below(250)}` }, () => {
    act.say("info", `order ${number} received`);
    act.work(2);
    act.call("cart", "GET /cart", route("GET", "/cart"), () => act.query("redis", `HGETALL cart:${number}`, 0.8));
    act.call("checkout", "POST /orders", route("POST", "/orders", status), () => {
      act.work(3);
      act.call("stock", "POST /reserve", route("POST", "/reserve"), () => {
        act.query("postgresql", "SELECT quantity FROM stock WHERE sku = ANY($1) FOR UPDATE", 6);
        act.query("postgresql", "UPDATE stock SET reserved = reserved + $2 WHERE sku = $1", 3);
        act.say("info", `order ${number}: 2 articles reserved`);
      });
      act.call("payment", "POST /charge", route("POST", "/charge", status), () => {
        act.within("payment", "check for fraud", INTERNAL, { "fraud.score": Math.round(100 * act.random.next()) / 100 }, () => act.work(9));
        if (order === "slow") act.say("warn", `order ${number}: waiting for the payment provider`);
        act.within("payment", SLOW_OPERATION, CLIENT, { "server.address": "api.payments.example", "order.number": number }, () => {
          if (order === "slow") act.exactly(SLOW_MS);
          else act.work(70);
          if (order === "slow") act.say("warn", `order ${number}: the provider answered after ${SLOW_MS} ms`);
          if (order === "declined") act.fail("the provider refused: card expired", "PaymentDeclined");
        });
        if (order === "declined") {
          act.say("error", `payment of order ${number} failed: card expired`);
          act.fail("payment declined");
        }
      });
      if (order === "declined") return act.fail("payment declined");
      act.query("postgresql", "INSERT INTO orders (number, total, customer) VALUES ($1, $2, $3)", 4);
      act.within("checkout", "orders publish", PRODUCER, { "messaging.system": "kafka", "messaging.destination.name": "orders" }, () => {
        act.work(1.5);
        act.within("mail", "orders process", CONSUMER, { "messaging.system": "kafka", "messaging.destination.name": "orders" }, () => {
          act.work(12);
          act.say("info", `order ${number}: confirmation sent`);
        });
      });
    });
    if (order === "declined") act.fail("502 Bad Gateway");
  });
}

function browse(act: Act): void {
  const article = 100 + act.random.below(40);
  act.within("frontend", "GET /articles/{id}", SERVER, route("GET", "/articles/{id}"), () => {
    act.work(1);
    act.call("catalog", "GET /articles/{id}", route("GET", "/articles/{id}"), () => {
      act.query("redis", `GET article:${article}`, 0.5);
      if (act.random.next() < 0.4) {
        act.say("debug", `article ${article} was not cached`);
        act.query("postgresql", "SELECT * FROM articles WHERE id = $1", 5);
      }
    });
    act.call("stock", "GET /stock/{id}", route("GET", "/stock/{id}"), () => act.query("postgresql", "SELECT quantity FROM stock WHERE sku = $1", 2));
    act.work(2);
  });
}

function find(act: Act): void {
  act.within("frontend", "GET /search", SERVER, route("GET", "/search"), () => {
    act.call("catalog", "GET /search", route("GET", "/search"), () => {
      act.query("postgresql", "SELECT id, title FROM articles WHERE title @@ to_tsquery($1)", 40);
      act.say("info", `${act.random.below(60)} articles found`);
    });
    act.work(4);
  });
}

export interface Traffic {
  spans: Span[];
  lines: Line[];
  /** The trace that takes longest, the root first. */
  slow: Span[];
  traces: number;
}

/** So many traces, evenly from `startMs` to `endMs`. One is far slower than all others; some orders fail. */
export function traffic(traces: number, startMs: number, endMs: number): Traffic {
  const random = new Random(7);
  const all: Traffic = { spans: [], lines: [], slow: [], traces };
  const slow = Math.floor(traces * 0.6);
  for (let number = 0; number < traces; number++) {
    const at = startMs + ((endMs - startMs) * (number + random.next())) / traces;
    const act = new Act(random, BigInt(Math.round(at * NS_PER_MS)));
    if (number === slow) checkout(act, "slow");
    else if (number % 3 === 0) checkout(act, number % 12 === 3 ? "declined" : "paid");
    else if (number % 7 === 1) find(act);
    else browse(act);
    if (number === slow) all.slow = act.spans;
    all.spans.push(...act.spans);
    all.lines.push(...act.lines);
  }
  return all;
}

/** One trace of exactly so many spans: a night's import, batch after batch, row after row. */
export function nightly(spans: number, startMs: number): Span[] {
  const act = new Act(new Random(11), BigInt(startMs) * BigInt(NS_PER_MS));
  const left = () => spans - act.spans.length;
  act.within("importer", "import prices", INTERNAL, {}, () => {
    for (let batch = 0; left() > 0; batch++) {
      act.within("importer", "import batch", INTERNAL, { "import.batch": batch }, () => {
        for (let row = 0; row < 60 && left() > 3; row++) {
          act.call("catalog", "PUT /articles/{id}", route("PUT", "/articles/{id}"), () => {
            act.query("postgresql", "UPDATE articles SET price = $2 WHERE id = $1", 0.6);
            if ((batch * 60 + row) % 400 === 13) act.fail("deadlock detected");
          });
        }
      });
      // A batch takes three spans a row; what is left of the sum are small steps.
      while (left() > 0 && left() <= 4) act.within("importer", "commit", INTERNAL, {}, () => act.work(1));
    }
  });
  return act.spans;
}
