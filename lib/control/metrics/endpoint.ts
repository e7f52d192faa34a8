/**
 * The HTTP endpoint for scrapers and health checks.
 *
 * @module
 */

import { bind } from "../../edge/listen.ts";
import { formatHostPort, parseListenAddress } from "../../wire/socket_address.ts";
import { type Page, page, STATS_PATH } from "./dashboard/dashboard.ts";
import { negotiate } from "./exposition.ts";
import type { Metrics } from "./metrics.ts";
import type { Stats } from "./stats.ts";
import { statsJson } from "./stats_json.ts";

/** Paths beside that of the metrics: neither may be it. */
export const HEALTH_PATHS = { alive: "/healthz", ready: "/readyz" } as const;

/** What an endpoint answers with. */
export interface EndpointOptions {
  /** Where it listens, as configured. */
  readonly addr: string;
  /** The path of the metrics. */
  readonly path: string;
  readonly metrics: Pick<Metrics, "contentType" | "render">;
  /** Whether there is a page for people, too. */
  readonly dashboard: boolean;
  /** What the page shows. */
  stats(): Stats;
  /** Why the program is not ready; none where it is. */
  notReady(): readonly string[];
  /** A request failed for a fault of ours. */
  failed(thrown: unknown): void;
}

/** See the module. */
export class MetricsEndpoint {
  readonly #abort = new AbortController();
  readonly #options: EndpointOptions;
  readonly #page: Page | undefined;
  #boundAddr: string | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#page = options.dashboard ? page() : undefined;
  }

  /** `host:port` as it is really bound; `undefined` before it is opened. */
  get boundAddr(): string | undefined {
    return this.#boundAddr;
  }

  /**
   * Binds the address, and answers from now on.
   *
   * @param inheritedAddr `host:port` where the process listens that this one replaces: it is bound beside that one.
   * @throws {ListenError} If it cannot be bound.
   */
  open(inheritedAddr?: string): void {
    const { addr, failed } = this.#options;
    const parsed = parseListenAddress(inheritedAddr ?? addr);
    if (parsed === undefined) throw new TypeError(`not a listen address: ${addr}`);
    const isInherited = inheritedAddr !== undefined;
    const server = bind(`${addr} (metrics.addr)`, parsed.host || "::", parsed.port, isInherited, (where) =>
      Deno.serve({
        ...where,
        signal: this.#abort.signal,
        onListen: () => {}, // the log says so
        onError: (thrown) => {
          failed(thrown);
          return answer(500, "a fault of mc-proxy's own; the log has more\n");
        },
      }, (request) => this.#answer(request)));
    this.#boundAddr = formatHostPort(server.addr.hostname, server.addr.port);
  }

  /** Ends it at once. */
  close(): void {
    this.#abort.abort();
  }

  async #answer(request: Request): Promise<Response> {
    const response = await this.#answerPath(request);
    if (request.method !== "HEAD") return response;
    // RFC 9110 §8.6: the length is that of the body which GET would get.
    response.headers.set("content-length", String((await response.bytes()).length));
    return new Response(null, response);
  }

  async #answerPath({ method, url, headers }: Request): Promise<Response> {
    if (method !== "GET" && method !== "HEAD") return answer(405, "only GET is answered\n", { allow: "GET, HEAD" });
    const { path, metrics } = this.#options;
    const { pathname } = new URL(url);
    switch (pathname) {
      case path: {
        const format = negotiate(headers.get("accept"));
        return answer(200, await metrics.render(format), {
          "content-type": metrics.contentType(format),
          vary: "accept",
        });
      }
      case HEALTH_PATHS.alive:
        return answer(200, "ok\n");
      case HEALTH_PATHS.ready: {
        const reasons = this.#options.notReady();
        return reasons.length === 0
          ? answer(200, "ok\n")
          : answer(503, reasons.map((reason) => `${reason}\n`).join(""));
      }
      default:
        return this.#answerPerson(pathname) ??
          answer(404, `there are ${path}, ${HEALTH_PATHS.alive} and ${HEALTH_PATHS.ready}\n`);
    }
  }

  /** What belongs to the page for people, where there is one. */
  #answerPerson(pathname: string): Response | undefined {
    if (this.#page === undefined) return undefined;
    if (pathname === "/") return answer(200, this.#page.body, this.#page.headers);
    if (pathname !== STATS_PATH) return undefined;
    return answer(200, `${JSON.stringify(statsJson(this.#options.stats()))}\n`, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
    });
  }
}

function answer(
  status: number,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      // Deno would compress it, in the thread that has all else to do.
      "cache-control": "no-store, no-transform",
      ...headers,
    },
  });
}
