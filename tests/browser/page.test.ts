/** The page against the real binary, as a person uses it. */
import { describe, expect, it } from "vitest";

import { accessible, screenshot, THEMES } from "./chromium.js";
import { type Logboom } from "./logboom.js";
import { page, server, session, tab } from "./session.js";

const PAGES = ["search", "live", "alerts", "pipeline"] as const;
const LINES = 240;
/** The lines of `seed` fire it. */
const RULES =
  "  - name: payment-failures\n    regex: 'payment .* failed'\n    threshold: {count: 3, within: 60s}\n    keep_firing_for: 10m\n    labels: {severity: critical}\n    receivers: []\n";

session(RULES, "", async () => {
  seed(server);
  await server.found("*", LINES);
});

/** A minute of a shop's log: levels, JSON and plain lines, Chinese, a long one, three failed payments. */
function seed(logboom: Logboom): void {
  const start = Date.now() - 60_000;
  const lines = Array.from({ length: LINES - 3 }, (_, number) => {
    const time = new Date(start + number * 200).toISOString();
    if (number % 40 === 7) return `${time} ERROR checkout could not reserve item ${number}`;
    if (number % 10 === 3) return JSON.stringify({ time, level: "warn", message: `slow query ${number}`, duration_ms: 500 + number, db: { name: "orders" } });
    if (number === 100) return `${time} INFO 订单已支付 编号=${number}`;
    if (number === 150) return `${time} DEBUG long ${"lorem ipsum ".repeat(400)}`;
    return `${time} INFO request ${number} served in ${number % 17} ms`;
  });
  for (const number of [1, 2, 3]) lines.push(`${new Date().toISOString()} ERROR payment ${number} failed`);
  logboom.append(...lines);
}

const rows = () => page.getByTestId("log-row");
const query = () => page.getByRole("textbox", { name: "Query" });

async function open(path: string): Promise<void> {
  await page.goto(`${server.url}${path}`);
}

async function ask(text: string): Promise<void> {
  await query().fill(text);
  await query().press("Enter");
}

async function total(expected: number): Promise<void> {
  await expect.poll(async () => ((await page.getByTestId("total").textContent()) ?? "").replaceAll(/[^0-9]/g, " ").trim().split(/\s+/)[0], { timeout: 10_000 }).toBe(String(expected));
}

describe("search", () => {
  it("finds words, counts them exactly and keeps the query in the address", async () => {
    await open("/search?from=1h");
    await total(LINES);
    await ask("checkout level:error");
    await total(6);
    await expect.poll(() => rows().first().textContent()).toContain("could not reserve item");
    expect(await page.getByTestId("histogram").isVisible()).toBe(true);
    expect(decodeURIComponent(page.url().replaceAll("+", " "))).toContain("checkout level:error");

    await page.reload();
    await total(6);
    expect(await query().inputValue()).toBe("checkout level:error");
  });

  it("filters by a click in the details of a line", async () => {
    await open("/search?from=1h&q=checkout");
    await total(6);
    await rows().first().click();
    const details = page.getByRole("dialog", { name: "Line details" }).or(page.getByRole("complementary", { name: "Line details" }));
    await details.waitFor();
    await expect.poll(() => details.textContent()).toContain("app.log");
    await screenshot(page, "search-details");
    await query().fill("");
    await details.getByRole("button", { name: "Include level" }).click();
    await expect.poll(() => query().inputValue()).toContain("level:error");
    await total(9);
    await page.keyboard.press("Escape");
    await details.waitFor({ state: "detached" });
  });

  it("finds Chinese text and numbers in JSON", async () => {
    await open("/search?from=1h&q=已支付");
    await total(1);
    await ask("duration_ms:>=700 db.name:orders");
    await total(4);
  });

  it("shows where a query is wrong instead of an empty list", async () => {
    await open("/search?from=1h&q=level:");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toContain("level:");
    tab.forgive(400);
  });

  it("walks through lines with the keyboard", async () => {
    await open("/search?from=1h&q=checkout");
    await total(6);
    await page.locator("body").press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Line details" }).or(page.getByRole("complementary", { name: "Line details" })).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await expect.poll(() => query().evaluate((field) => field === document.activeElement)).toBe(true);
  });
});

describe("live", () => {
  it("shows a line within a second of its writing", async () => {
    await open("/live");
    // The stream is open once a line comes through.
    let number = 0;
    await expect
      .poll(async () => {
        server.append(`${new Date().toISOString()} INFO warming up ${number++}`);
        return rows().filter({ hasText: "warming up" }).count();
      }, { timeout: 20_000, interval: 500 })
      .toBeGreaterThan(0);

    const written = Date.now();
    server.append(`${new Date().toISOString()} WARN a line of this very moment`);
    await rows().filter({ hasText: "a line of this very moment" }).waitFor({ timeout: 5_000 });
    expect(Date.now() - written).toBeLessThan(1_000);
    await screenshot(page, "live-lines");

    await page.getByRole("button", { name: "Pause" }).click();
    server.append(`${new Date().toISOString()} WARN while nobody looks`);
    await expect.poll(() => page.getByText(/1 new line/).count(), { timeout: 5_000 }).toBeGreaterThan(0);
    expect(await rows().filter({ hasText: "while nobody looks" }).count()).toBe(0);
    await page.getByRole("button", { name: "Resume" }).click();
    await rows().filter({ hasText: "while nobody looks" }).waitFor();
  });
});

describe("alerts", () => {
  it("lists the alert that is firing, its rule and its history", async () => {
    await open("/alerts");
    await page.getByTestId("alert").filter({ hasText: "payment-failures" }).waitFor();
    await page.getByRole("tab", { name: "Rules" }).click();
    await page.getByText("payment-failures").first().waitFor();
    await page.getByRole("tab", { name: "History" }).click();
    await page.getByText("payment-failures").first().waitFor();
  });
});

describe("pipeline", () => {
  it("shows the agent, the partitions and the indexer", async () => {
    await open("/pipeline");
    const agents = page.getByRole("table", { name: "Agents" });
    await expect.poll(() => agents.getByRole("row").count()).toBeGreaterThan(1);
    const partitions = page.getByRole("table", { name: "Partitions" });
    await expect.poll(() => partitions.getByRole("row").count()).toBeGreaterThan(4);
    await page.getByRole("region", { name: "Indexer" }).waitFor();
  });
});

describe("every page", () => {
  it.each(PAGES.flatMap((name) => THEMES.map((theme) => [name, theme] as const)))("%s is accessible and legible in %s", async (name, theme) => {
    await open(`/${name}${name === "search" ? "?from=1h" : ""}`);
    await accessible(page, name, theme);
  });
});
