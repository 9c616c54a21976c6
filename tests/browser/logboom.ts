/** The real binary on a directory of its own, tailing one file that a test appends to. */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const READY_WITHIN_MS = 60_000;

export class Logboom {
  private constructor(
    private readonly process: ChildProcess,
    private readonly directory: string,
    readonly url: string,
  ) {}

  /** Starts `logboom up` with one rule that the lines of `append` can fire. */
  static async start(): Promise<Logboom> {
    const binary = process.env.LOGBOOM_BIN;
    if (!binary) throw new Error("LOGBOOM_BIN names no binary; build logboom and set it, as `make test` does");
    const directory = mkdtempSync(join(tmpdir(), "logboom-browser-"));
    writeFileSync(join(directory, "app.log"), "");
    writeFileSync(
      join(directory, "rules.yaml"),
      "version: 1\nrules:\n  - name: payment-failures\n    regex: 'payment .* failed'\n    threshold: {count: 3, within: 60s}\n    keep_firing_for: 10m\n    labels: {severity: critical}\n    receivers: []\n",
    );
    writeFileSync(
      join(directory, "logboom.yaml"),
      `version: 1\nalerting: {rules: [rules.yaml]}\nagent: {tail: [{glob: ['${directory}/*.log'], service: shop}]}\n`,
    );
    const any = "127.0.0.1:0";
    const child = spawn(binary, ["up", "--config", join(directory, "logboom.yaml"), "--data", join(directory, "data")], {
      env: { ...process.env, LOGBOOM_LISTEN: any, LOGBOOM_QUEUE_LISTEN: any, LOGBOOM_INDEXER_LISTEN: any, LOGBOOM_OTLP_GRPC: any, LOGBOOM_OTLP_HTTP: any },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ready = await new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("no ready line")), READY_WITHIN_MS);
      child.once("exit", (code) => reject(new Error(`logboom ended with ${code} before it was ready`)));
      createInterface({ input: child.stdout! }).once("line", (line) => {
        clearTimeout(late);
        resolve(line);
      });
    });
    const url = /http:\/\/\S+/.exec(ready)?.[0];
    if (!url) throw new Error(`not a ready line: ${ready}`);
    return new Logboom(child, directory, url);
  }

  /** Appends lines as a program would. */
  append(...lines: string[]): void {
    appendFileSync(join(this.directory, "app.log"), lines.map((line) => `${line}\n`).join(""));
  }

  /** Waits until exactly `expected` lines match. */
  async found(query: string, expected: number): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const answer = await fetch(`${this.url}/api/v1/search?limit=0&q=${encodeURIComponent(query)}`);
      if (answer.ok && ((await answer.json()) as { total: number }).total === expected) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`never ${expected} lines match ${query}`);
  }

  async stop(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    const code = await ended;
    rmSync(this.directory, { recursive: true, force: true });
    return code;
  }
}
