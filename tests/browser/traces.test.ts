/** Traces and services against the real binary: the walk of somebody who looks for what is slow, and a trace of 50,000 spans. */
import { describe, expect, it } from "vitest";

import { accessible, THEMES } from "./chromium.js";
import { isRequest, type Line, sendLines, sendSpans, type Span } from "./otlp.js";
import { page, server, session, tab } from "./session.js";
import { nightly, SLOW_MS, SLOW_OPERATION, traffic, type Traffic } from "./shop.js";

const MINUTE_MS = 60_000;
const TRACES = 90;
const LARGE = 50_000;

/** The slow order of the shop fires it. */
const RULES = `  - name: slow checkouts
    index: spans
    query: 'kind:server service:frontend'
    threshold: {quantile: p99, field: duration, above: 500ms, within: 5m, group_by: [service, operation]}
    keep_firing_for: 2h
    annotations: {summary: customers wait too long to pay}
    receivers: []
`;

/** What a trace of 50,000 spans may take. */
const API_MS_MAX = 500;
const USABLE_MS_MAX = 1_000;
const FRAME_MS_MAX = 100;
const ELEMENTS_MAX = 600;
/** Others use the machine too; whoever misses a bound three times does not owe it to them. */
const TRIES = 3;

let shop: Traffic;
let large: Span[];

session(RULES, "indexes: {logs: {hot_age_max: 2s}, spans: {hot_age_max: 2s}}\n", async () => {
  const now = Date.now();
  // All of it within the range that pages open with; the night's import long before.
  shop = traffic(TRACES, now - 12 * MINUTE_MS, now - MINUTE_MS / 2);
  large = nightly(LARGE, now - 180 * MINUTE_MS);
  await sendSpans(server, shop.spans);
  await sendLines(server, shop.lines);
  await sendSpans(server, large);
  await server.found("*", shop.spans.length + LARGE, "spans");
  await server.found("*", shop.lines.length);
  await server.published();
});

const open = (path: string) => page.goto(`${server.url}${path}`);
const address = () => decodeURIComponent(page.url().slice(server.url.length).replaceAll("+", " "));
const traceRows = () => page.getByTestId("trace-row");
const spanRows = () => page.getByTestId("span-row");
const logRows = () => page.getByTestId("log-row");
const linesOf = (spans: Span[]): Line[] => shop.lines.filter((line) => line.span.traceId === spans[0]!.traceId);
const slowest = (spans: Span[]): Span => spans.find((span) => span.operation === SLOW_OPERATION)!;

const MS: Record<string, number> = { ns: 1e-6, µs: 1e-3, ms: 1, s: 1_000, min: 60_000 };
/** Of what the page writes, as `2.61 s`. */
function milliseconds(text: string): number {
  const found = /([\d.]+) (ns|µs|ms|s|min)\b/.exec(text);
  if (!found) throw new Error(`no duration in ${text}`);
  return Number(found[1]) * MS[found[2]!]!;
}

/** The smallest number that at least this share of all does not exceed, as the index says it. */
const quantile = (numbers: number[], share: number): number => [...numbers].sort((a, b) => a - b)[Math.max(1, Math.ceil(share * numbers.length)) - 1]!;

describe("from what is slow to its lines and back", () => {
  it("goes from the list over the slowest span to the lines of the trace, and from a line back to its span", async () => {
    const { slow } = shop;
    await open("/traces");
    await expect.poll(() => page.getByTestId("trace-count").textContent()).toBe(`${TRACES} traces`);
    const durations = await traceRows().evaluateAll((rows) => rows.map((row) => row.querySelector(".trace-duration")!.textContent!));
    expect(durations.length).toBeGreaterThan(5);

    await page.getByRole("textbox", { name: "Min duration" }).fill("1s");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.getByTestId("trace-count").textContent()).toBe("1 trace");
    expect(address()).toContain("duration:>=1s");
    expect(milliseconds((await traceRows().first().locator(".trace-duration").textContent())!)).toBeGreaterThan(SLOW_MS);
    await traceRows().first().click();
    await expect.poll(address).toContain(`/traces/${slow[0]!.traceId}`);
    await expect.poll(() => page.getByTestId("trace-title").textContent()).toBe("frontend POST /checkout");
    await expect.poll(() => spanRows().count()).toBe(slow.length);

    // The slowest is what the trace waited for and what did not wait for anything itself.
    await page.keyboard.press("p");
    await page.locator(".waterfall.with-path").waitFor();
    const leaves = await spanRows().evaluateAll((rows) =>
      rows.filter((row) => row.ariaExpanded === null && row.classList.contains("on-path")).map((row) => ({ id: row.getAttribute("data-span")!, time: row.querySelector(".span-time")!.textContent! })),
    );
    const found = leaves.sort((a, b) => milliseconds(b.time) - milliseconds(a.time))[0]!;
    expect(found.id).toBe(slowest(slow).spanId);
    await page.locator(`[data-span="${found.id}"]`).click();
    const details = page.getByRole("complementary", { name: "Span details" });
    await expect.poll(() => details.getByRole("region", { name: "Attributes" }).textContent()).toContain("api.payments.example");
    expect(await page.getByTestId("span-heading").textContent()).toBe(`payment ${SLOW_OPERATION}`);

    await page.getByRole("tab", { name: "Logs" }).click();
    await expect.poll(() => page.getByTestId("log-count").textContent()).toBe(`${linesOf(slow).length} lines`);
    await logRows().filter({ hasText: "the provider answered" }).click();
    const line = page.getByRole("complementary", { name: "Line details" });
    await expect.poll(() => line.textContent()).toContain(slow[0]!.traceId);

    await line.getByTestId("open-trace").click();
    await expect.poll(address).toContain(`span=${found.id}`);
    await page.getByTestId("span-heading").waitFor();
    expect(await page.locator(`[data-span="${found.id}"].selected`).isVisible()).toBe(true);
  });

  it("leads from a line in the search to the span that it was written in", async () => {
    const { slow } = shop;
    const line = linesOf(slow).find(({ text }) => text.includes("reserved"))!;
    await open(`/traces/${slow[0]!.traceId}`);
    await page.getByRole("link", { name: "Logs in Search" }).click();
    await expect.poll(() => logRows().count()).toBe(linesOf(slow).length);
    await logRows().filter({ hasText: "reserved" }).getByTestId("row-trace").click();
    await expect.poll(address).toContain(`/traces/${line.span.traceId}?span=${line.span.spanId}`);
    await page.locator(`[data-span="${line.span.spanId}"].selected`).waitFor();
  });

  it("jumps to what failed and shows the exception", async () => {
    const failed = shop.spans.find((span) => span.events.length > 0)!;
    await open("/traces?err=1");
    await expect.poll(() => page.getByTestId("trace-count").textContent()).toBe(`${new Set(shop.spans.filter((span) => span.failed).map((span) => span.traceId)).size} traces`);
    await open(`/traces/${failed.traceId}?span=${failed.spanId}`);
    const events = page.getByRole("complementary", { name: "Span details" }).getByRole("region", { name: "Events" });
    await expect.poll(() => events.textContent()).toContain("PaymentDeclined: the provider refused");
    await page.keyboard.press("Escape");
    await page.locator("body").press("E");
    await expect.poll(() => page.locator(".span-row.active.failed").count()).toBe(1);
  });

  it("says that a trace is not there", async () => {
    await open(`/traces/${"f".repeat(32)}`);
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("f".repeat(32));
    tab.forgive(404);
  });
});

describe(`a trace of ${LARGE.toLocaleString("en")} spans`, () => {
  it(`is answered within ${API_MS_MAX} ms`, async () => {
    const times: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      const asked = performance.now();
      const answer = (await server.ask<{ total: number; complete: boolean; spans: { id: string[] } }>(`traces/${large[0]!.traceId}`))!;
      times.push(performance.now() - asked);
      expect([answer.total, answer.complete, answer.spans.id.length]).toEqual([LARGE, true, LARGE]);
    }
    console.log(`${LARGE} spans from the API: ${times.map(Math.round).join(", ")} ms`);
    expect(quantile(times, 0.5)).toBeLessThan(API_MS_MAX);
  });

  it(`answers a key within ${USABLE_MS_MAX} ms of its opening`, async () => {
    const times: number[] = [];
    for (let attempt = 0; attempt < TRIES; attempt++) {
      await open("/traces");
      await traceRows().first().waitFor();
      const opened = performance.now();
      await open(`/traces/${large[0]!.traceId}`);
      await spanRows().first().waitFor();
      await page.keyboard.press("j");
      await page.locator('[data-testid="waterfall"][aria-activedescendant="span-1"]').waitFor();
      times.push(performance.now() - opened);
    }
    console.log(`${LARGE} spans on the page: ${times.map(Math.round).join(", ")} ms until a key is answered`);
    expect(Math.min(...times)).toBeLessThan(USABLE_MS_MAX);
  });

  it.each(["closed", "open"])(`scrolls with frames of at most ${FRAME_MS_MAX} ms and ${ELEMENTS_MAX} elements, details %s`, async (details) => {
    await open(`/traces/${large[0]!.traceId}${details === "open" ? `?span=${large[3]!.spanId}` : ""}`);
    await spanRows().first().waitFor();
    if (details === "open") await page.getByRole("region", { name: "Resource" }).waitFor();
    const runs = [];
    for (let attempt = 0; attempt < TRIES; attempt++) runs.push(await page.evaluate(scroll));
    console.log(`${LARGE} spans scrolled, details ${details}: ${runs.map((run) => `worst frame ${Math.round(run.worst)} ms, ${run.frames} frames, ${run.elements} elements`).join("; ")}`);
    for (const run of runs) expect(run.far, "rows far below come into view").toBeGreaterThan(LARGE / 2);
    expect(Math.max(...runs.map((run) => run.elements))).toBeLessThanOrEqual(ELEMENTS_MAX);
    expect(Math.min(...runs.map((run) => run.worst))).toBeLessThanOrEqual(FRAME_MS_MAX);
  });
});

/** In the page: down through all rows within two seconds, by large and small steps. */
async function scroll(): Promise<{ worst: number; frames: number; elements: number; far: number }> {
  const scroller = document.querySelector('[data-testid="waterfall"]')!;
  scroller.scrollTop = 0;
  const frame = () => new Promise<number>(requestAnimationFrame);
  let last = await frame();
  const started = last;
  const run = { worst: 0, frames: 0, elements: 0, far: 0 };
  while (last - started < 2_000) {
    const share = (last - started) / 2_000;
    scroller.scrollTop = run.frames % 8 === 0 ? share * scroller.scrollHeight : scroller.scrollTop + 60;
    const now = await frame();
    run.worst = Math.max(run.worst, now - last);
    run.frames++;
    run.elements = Math.max(run.elements, document.querySelectorAll("*").length);
    for (const row of document.querySelectorAll('[data-testid="span-row"]')) run.far = Math.max(run.far, Number(row.id.slice("span-".length)));
    last = now;
  }
  return run;
}

describe("services", () => {
  it("shows how much is asked of each, how much fails and how long it takes", async () => {
    await open("/services");
    const requests = new Map<string, Span[]>();
    for (const span of shop.spans.filter(isRequest)) requests.set(span.service, [...(requests.get(span.service) ?? []), span]);
    await expect.poll(() => page.getByTestId("service-row").count()).toBe(requests.size);
    for (const [service, spans] of requests) {
      const row = page.locator(`[data-testid="service-row"][data-name="${service}"]`);
      const failed = spans.filter((span) => span.failed !== undefined).length;
      expect(await row.getByTitle(`${spans.length} requests`, { exact: true }).textContent()).toMatch(/^[\d.]+\/s$/);
      expect(await row.getByTitle(failed === 1 ? "1 error" : `${failed} errors`, { exact: true }).textContent()).toBe(failed === 0 ? "0 %" : `${Number(((100 * failed) / spans.length).toPrecision(3))} %`);
      const shown = (await row.locator("td.number").allTextContents()).slice(-3).map(milliseconds);
      const exact = spans.map((span) => span.durationNs / 1e6);
      for (const [place, share] of [0.5, 0.95, 0.99].entries()) {
        const off = shown[place]! / quantile(exact, share) - 1;
        // The index keeps quantiles within a percent, and the page writes three digits of them.
        expect(Math.abs(off), `${share} of ${service}: ${shown[place]} ms`).toBeLessThan(0.02);
      }
    }

    await page.getByRole("button", { name: "checkout", exact: true }).click();
    await page.getByTestId("service-charts").waitFor();
    expect(await page.getByTestId("service-row").getByRole("button", { name: "POST /orders", exact: true }).count()).toBe(1);
    await page.getByTestId("service-row").getByRole("button", { name: "POST /orders", exact: true }).click();
    await expect.poll(address).toBe('/traces?q=service:checkout operation:"POST /orders"');
    await traceRows().first().waitFor();
  });

  it("draws who calls whom, and how often", async () => {
    await open("/services?tab=map");
    const calls = new Map<string, number>();
    for (const { service, parent } of shop.spans) {
      if (parent && parent.service !== service) calls.set(`${parent.service} ${service}`, (calls.get(`${parent.service} ${service}`) ?? 0) + 1);
    }
    const edges = page.getByTestId("edge");
    await expect.poll(() => edges.count()).toBe(calls.size);
    const drawn = await edges.evaluateAll((all) => all.map((edge) => [edge.getAttribute("data-edge")!, Number(/: ([\d,]+) calls?/.exec(edge.ariaLabel!)![1]!.replaceAll(",", ""))] as const));
    expect(new Map(drawn)).toEqual(calls);
    const services = new Set(shop.spans.map((span) => span.service));
    expect(new Set(await page.getByTestId("node").evaluateAll((all) => all.map((node) => node.getAttribute("data-service"))))).toEqual(services);

    await page.locator('[data-edge="checkout payment"]').focus();
    await page.keyboard.press("Enter");
    await expect.poll(address).toBe("/traces?q=service:payment");
  });
});

describe("every page of traces", () => {
  const pages = (): Record<string, string> => {
    const failed = shop.spans.find((span) => span.events.length > 0)!;
    return {
      traces: "/traces",
      trace: `/traces/${shop.slow[0]!.traceId}?path=critical`,
      "trace-span": `/traces/${failed.traceId}?span=${failed.spanId}`,
      "trace-logs": `/traces/${shop.slow[0]!.traceId}?tab=logs`,
      "trace-large": `/traces/${large[0]!.traceId}`,
      services: "/services",
      service: "/services?service=checkout",
      map: "/services?tab=map",
      "alerts-spans": "/alerts",
      "live-spans": "/live?q=index:spans",
    };
  };
  const NAMES = ["traces", "trace", "trace-span", "trace-logs", "trace-large", "services", "service", "map", "alerts-spans", "live-spans"];
  it.each(NAMES.flatMap((name) => THEMES.map((theme) => [name, theme] as const)))("%s is accessible and legible in %s", async (name, theme) => {
    await open(pages()[name]!);
    await accessible(page, name, theme);
  });
});

describe("spans elsewhere", () => {
  it("leads from an alert of a quantile to the span that it quotes, and to the traces above its limit", async () => {
    const root = shop.slow[0]!;
    await open("/alerts");
    const alert = page.getByTestId("alert").filter({ hasText: "slow checkouts" });
    await expect.poll(() => alert.textContent()).toContain("p99 of duration above 500ms in 5m");
    const sample = alert.getByTestId("sample");
    expect(milliseconds((await sample.locator(".sample-duration").textContent())!)).toBeGreaterThan(SLOW_MS);
    await sample.getByTestId("sample-trace").click();
    await expect.poll(address).toBe(`/traces/${root.traceId}?span=${root.spanId}`);
    await page.getByTestId("span-heading").waitFor();

    await page.goBack();
    await alert.getByRole("link", { name: "Show traces" }).click();
    await expect.poll(() => page.getByTestId("trace-count").textContent()).toBe("1 trace");
    expect(await page.getByRole("textbox", { name: "Query" }).inputValue()).toBe('kind:server service:frontend duration:>500ms service:frontend operation:"POST /checkout"');
  });

  it("follows spans as they arrive", async () => {
    await open("/live");
    await page.getByRole("group", { name: "What to follow" }).getByRole("button", { name: "Spans" }).click();
    await expect.poll(address).toBe("/live?q=index:spans");
    // The stream is open once a span comes through.
    await expect
      .poll(async () => {
        await sendSpans(server, [{ ...nightly(1, Date.now())[0]!, traceId: "cd".repeat(16) }]);
        return logRows().filter({ hasText: "import prices" }).count();
      }, { timeout: 20_000, interval: 500 })
      .toBeGreaterThan(0);
    await logRows().first().click();
    await expect.poll(() => page.getByRole("complementary", { name: "Line details" }).textContent()).toContain("importer");
  });

  it("shows the first events of a span with many, and says how many there are more", async () => {
    const span = nightly(1, Date.now() - 30 * MINUTE_MS)[0]!;
    const events = Array.from({ length: 500 }, (_, number) => ({ name: "retry", atNs: span.startNs, attributes: { attempt: number, why: "the connection was closed by the other side" } }));
    const many: Span = { ...span, traceId: "ab".repeat(16), operation: "retry for ever", events };
    await sendSpans(server, [many]);
    await server.found('operation:"retry for ever"', 1, "spans");
    await open(`/traces/${many.traceId}?span=${many.spanId}`);
    const shown = page.getByRole("region", { name: "Events" });
    await shown.getByRole("button", { name: "Show the first 200" }).click();
    await expect.poll(() => shown.locator("li").count()).toBe(200);
    expect(await shown.textContent()).toContain("300 more are left out");

    // A list leaves out more; all of it comes when asked, from the index of spans.
    await open('/search?from=all&q=index:spans operation:"retry for ever"');
    await logRows().first().click();
    const details = page.getByRole("complementary", { name: "Line details" });
    await expect.poll(() => details.textContent()).toMatch(/\d+ events of this span are left out/);
    await details.getByRole("button", { name: "Show all" }).click();
    await details.getByText("are left out").waitFor({ state: "detached" });
    await details.getByRole("tab", { name: "JSON" }).click();
    expect(JSON.parse((await details.getByLabel("JSON").locator("visible=true").last().textContent())!).events).toHaveLength(500);
  });
});
