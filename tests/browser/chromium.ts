/** Debian's Chromium, and what every page has to be: silent in the console, accessible, legible in both themes. */
import { AxeBuilder } from "@axe-core/playwright";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SCREENSHOTS = process.env.LOGBOOM_SCREENSHOTS ?? resolve("../../target/screenshots");

export const THEMES = ["light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const profiles = new Map<BrowserContext, string>();

export async function launch(): Promise<BrowserContext> {
  if (!existsSync(CHROMIUM)) throw new Error(`there is no Chromium at ${CHROMIUM}; install the package chromium, or set CHROMIUM`);
  mkdirSync(SCREENSHOTS, { recursive: true });
  const profile = mkdtempSync(join(tmpdir(), "logboom-chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    viewport: { width: 1440, height: 900 },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  profiles.set(browser, profile);
  return browser;
}

/** Ends a browser, if it came to be, and what it has written. */
export async function quit(browser: BrowserContext | undefined): Promise<void> {
  if (!browser) return;
  await browser.close();
  // The last of its processes may still write there.
  await rm(profiles.get(browser)!, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** A page whose console is listened to. */
export class Tab {
  private complaints: string[] = [];

  private constructor(readonly page: Page) {
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
  }

  static async open(browser: BrowserContext): Promise<Tab> {
    return new Tab(await browser.newPage());
  }

  /** Chromium itself complains about a refusal that a test asks for. */
  forgive(status: number): void {
    this.complaints = this.complaints.filter((text) => !text.includes(String(status)));
  }

  async close(): Promise<void> {
    await this.page.close();
    expect(this.complaints, "the console stays silent").toEqual([]);
  }
}

export const screenshot = (page: Page, name: string) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });

/** Turns the page to a theme as a person does, takes a picture of it, and lets axe judge it. */
export async function accessible(page: Page, name: string, theme: Theme): Promise<void> {
  const chosen = () => page.evaluate(() => document.documentElement.dataset.theme);
  const button = page.getByRole("button", { name: "Theme" });
  await button.waitFor();
  for (let click = 0; click < 3 && (await chosen()) !== theme; click++) await button.click();
  expect(await chosen()).toBe(theme);
  await page.waitForTimeout(700);
  await screenshot(page, `${name}-${theme}`);
  const found = await new AxeBuilder({ page }).analyze();
  const serious = found.violations.filter((violation) => violation.impact === "serious" || violation.impact === "critical");
  expect(serious.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(" | ")}`)).toEqual([]);
}
