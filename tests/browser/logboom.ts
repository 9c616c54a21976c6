/** The real binary on a directory of its own: what it tails, what it receives, what it answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const READY_WITHIN_MS = 60_000;
const FOUND_WITHIN_MS = 60_000;
const ASK_AGAIN_MS = 100;

export class Logboom {
  private constructor(
    private readonly process: ChildProcess,
    private readonly directory: string,
    readonly url: string,
    /** Where OTLP over HTTP is taken. */
    private readonly otlp: string,
  ) {}

  /** Starts `logboom up` with these rules, tailing one file; `config` is further lines of its configuration. */
  static async start(rules: string, config = ""): Promise<Logboom> {
    const binary = process.env.LOGBOOM_BIN;
    if (!binary) throw new Error("LOGBOOM_BIN names no binary; build logboom and set it, as `make test` does");
    const directory = mkdtempSync(join(tmpdir(), "logboom-browser-"));
    writeFileSync(join(directory, "app.log"), "");
    writeFileSync(join(directory, "rules.yaml"), `version: 1\nrules:\n${rules}`);
    writeFileSync(
      join(directory, "logboom.yaml"),
      `version: 1\nalerting: {rules: [rules.yaml]}\nagent: {tail: [{glob: ['${directory}/*.log'], service: shop}]}\n${config}`,
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
    const ports = (await (await fetch(`${url}/api/v1/ports`)).json()) as { otlp_http: string };
    return new Logboom(child, directory, url, `http://${ports.otlp_http}`);
  }

  /** Appends lines as a program would. */
  append(...lines: string[]): void {
    appendFileSync(join(this.directory, "app.log"), lines.map((line) => `${line}\n`).join(""));
  }

  /** Sends an OTLP request in its JSON form. */
  async send(signal: "traces" | "logs", request: object): Promise<void> {
    const answer = await fetch(`${this.otlp}/v1/${signal}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) });
    const text = await answer.text();
    if (!answer.ok || text.includes("partialSuccess")) throw new Error(`${signal} were not taken: ${answer.status} ${text}`);
  }

  /** Asks the API; undefined for what is not there. */
  async ask<T>(path: string, params: Record<string, string> = {}): Promise<T | undefined> {
    const answer = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(params)}`);
    return answer.ok ? ((await answer.json()) as T) : undefined;
  }

  /** Waits until exactly `expected` lines, or events of another index, match. */
  async found(query: string, expected: number, index = "logs"): Promise<void> {
    let total: number | null | undefined;
    for (const until = Date.now() + FOUND_WITHIN_MS; Date.now() < until; await sleep(ASK_AGAIN_MS)) {
      total = (await this.ask<{ total: number | null }>("search", { limit: "0", q: query, index }))?.total;
      if (total === expected) return;
    }
    throw new Error(`${total} instead of ${expected} match ${query} in ${index}`);
  }

  /** Waits until all that was sent lies in splits, where it lies once it is older than half a minute. */
  async published(): Promise<void> {
    for (const until = Date.now() + FOUND_WITHIN_MS; Date.now() < until; await sleep(ASK_AGAIN_MS)) {
      const { partitions } = (await this.ask<{ partitions: { end: number | null; published: number }[] }>("pipeline"))!;
      if (partitions.length > 0 && partitions.every(({ end, published }) => end === null || published >= end)) return;
    }
    throw new Error("not everything was published");
  }

  async stop(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    const code = await ended;
    rmSync(this.directory, { recursive: true, force: true });
    return code;
  }
}
