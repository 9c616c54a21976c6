/** What the tests of one file share: a server that they fill, a browser, and for each test a tab of its own. */
import { type BrowserContext, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";

import { launch, quit, Tab } from "./chromium.js";
import { Logboom } from "./logboom.js";

export let server: Logboom;
/** Of the test that runs. */
export let tab: Tab;
export let page: Page;

let browser: BrowserContext;

/** Starts and ends them around a file's tests; `fill` ends when the server can be asked for all that they look for. */
export function session(rules: string, config: string, fill: () => Promise<void>): void {
  beforeAll(async () => {
    server = await Logboom.start(rules, config);
    await fill();
    browser = await launch();
  });

  afterAll(async () => {
    await quit(browser);
    expect(await server?.stop(), "logboom stops cleanly").toBe(0);
  });

  beforeEach(async () => {
    tab = await Tab.open(browser);
    page = tab.page;
  });

  afterEach(() => tab.close());
}
