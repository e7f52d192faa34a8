import assert from "node:assert/strict";
import { Lines } from "./lines.ts";

/** What a query gave: a value for each series. */
export type QueryResult = readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];

/** Debian's Prometheus, on a free port, that scrapes one target every 200 ms. */
export class Prometheus implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #log: Lines<string>;
  #url = "";

  private constructor(folder: string, process: Deno.ChildProcess) {
    this.#folder = folder;
    this.#process = process;
    this.#log = new Lines(process.stderr, (line) => line);
  }

  /** Starts it. @param target `host:port` of a proxy's metrics. */
  static async start(target: string): Promise<Prometheus> {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-prometheus-" });
    const config = {
      global: { scrape_interval: "200ms", evaluation_interval: "200ms" },
      scrape_configs: [{ job_name: "mc-proxy", static_configs: [{ targets: [target] }] }],
      rule_files: [new URL("../../config/alerts.yml", import.meta.url).pathname],
    };
    Deno.writeTextFileSync(`${folder}/prometheus.yml`, JSON.stringify(config)); // JSON is YAML
    const command = new Deno.Command("prometheus", {
      args: [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        "--web.listen-address=127.0.0.1:0",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    const prometheus = new Prometheus(folder, command.spawn());
    const listening = await prometheus.#log.find((line) => line.includes('msg="Listening on"'));
    prometheus.#url = `http://${/address=(\S+)/.exec(listening)?.[1]}/api/v1`;
    await prometheus.#log.find((line) => line.includes("Server is ready"));
    return prometheus;
  }

  /** Asks its API; fails where it says that the question is wrong. */
  async ask(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await fetch(`${this.#url}/${path}?${new URLSearchParams(parameters)}`);
    const { status, error, data } = await response.json();
    assert.equal(status, "success", `${JSON.stringify(parameters)}: ${error}`);
    return data;
  }

  /** What an expression is now. */
  async query(expression: string): Promise<QueryResult> {
    const { result } = await this.ask("query", { query: expression }) as { result: QueryResult };
    return result;
  }

  /** Asks again until an expression has a result; the test's own limit of time ends what never has. */
  async result(expression: string): Promise<QueryResult> {
    for (;;) {
      const found = await this.query(expression);
      if (found.length > 0) return found;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#log.ended;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
