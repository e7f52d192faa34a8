/**
 * The HTTP endpoint for scrapers and health checks.
 *
 * @module
 */

import { BACKLOG, bind } from "../../edge/listen.ts";
import { formatHostPort, parseListenAddress } from "../../wire/socket_address.ts";
import type { AcceptEvents } from "../accept_loop.ts";
import { type Page, page, STATS_PATH } from "./dashboard/dashboard.ts";
import { negotiate } from "./exposition.ts";
import { HostCheck } from "./host_check.ts";
import { type Answer, HttpServer, type Question } from "./http_server.ts";
import type { Metrics } from "./metrics.ts";
import type { Stats } from "./stats.ts";
import { statsJson } from "./stats_json.ts";

/** Paths beside that of the metrics: neither may be it. */
export const HEALTH_PATHS = { alive: "/healthz", ready: "/readyz" } as const;

/** What an endpoint answers with. */
export interface EndpointOptions extends AcceptEvents {
  /** Where it listens, as configured. */
  readonly addr: string;
  /** The path of the metrics. */
  readonly path: string;
  readonly metrics: Pick<Metrics, "contentType" | "render">;
  /** Whether there is a page for people, too. */
  readonly dashboard: boolean;
  /** Names by which it may be asked, as `normalizeHostname` spells them; see {@linkcode HostCheck}. */
  readonly hosts: readonly string[];
  /** What the page shows. */
  stats(): Stats;
  /** Why the program is not ready; none where it is. */
  notReady(): readonly string[];
  /** A request failed for a fault of ours. */
  failed(thrown: unknown): void;
}

/** See the module. */
export class MetricsEndpoint {
  readonly #server: HttpServer;
  readonly #options: EndpointOptions;
  readonly #page: Page | undefined;
  readonly #hosts: HostCheck;
  #boundAddr: string | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#page = options.dashboard ? page() : undefined;
    this.#hosts = new HostCheck(options.addr, options.hosts);
    this.#server = new HttpServer({
      answer: (question) => this.#answer(question),
      acceptFailed: (reason) => options.acceptFailed(reason),
      acceptRecovered: () => options.acceptRecovered(),
    });
  }

  /** `host:port` as it is really bound; `undefined` before it is opened. */
  get boundAddr(): string | undefined {
    return this.#boundAddr;
  }

  /** Why the system refuses to accept its clients; `undefined` where it does not. */
  get acceptProblem(): string | undefined {
    return this.#server.acceptProblem;
  }

  /**
   * Binds the address, and answers from now on.
   *
   * @param inheritedAddr `host:port` where the process listens that this one replaces: it is bound beside that one.
   * @throws {ListenError} If it cannot be bound.
   */
  open(inheritedAddr?: string): void {
    const { addr } = this.#options;
    const parsed = parseListenAddress(inheritedAddr ?? addr);
    if (parsed === undefined) throw new TypeError(`not a listen address: ${addr}`);
    const isInherited = inheritedAddr !== undefined;
    const listener = bind(
      `${addr} (metrics.addr)`,
      parsed.host || "::",
      parsed.port,
      isInherited,
      (where) => Deno.listen({ ...where, tcpBacklog: BACKLOG }),
    );
    this.#boundAddr = formatHostPort(listener.addr.hostname, listener.addr.port);
    this.#server.listen(listener);
  }

  /** Accepts no more; what is being answered is finished. */
  close(): void {
    this.#server.close();
  }

  async #answer(question: Question): Promise<Answer> {
    try {
      return await this.#answerPath(question);
    } catch (thrown) {
      this.#options.failed(thrown);
      return answer(500, "a fault of mc-proxy's own; the log has more\n");
    }
  }

  async #answerPath({ method, path: asked, accept, host }: Question): Promise<Answer> {
    if (method !== "GET" && method !== "HEAD") return answer(405, "only GET is answered\n", { allow: "GET, HEAD" });
    const { path, metrics } = this.#options;
    switch (asked) {
      case path: {
        if (this.#options.hosts.length > 0 && !this.#hosts.takes(host)) return misdirected();
        const format = negotiate(accept ?? null);
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
        return this.#answerPerson(asked, host) ??
          answer(404, `there are ${path}, ${HEALTH_PATHS.alive} and ${HEALTH_PATHS.ready}\n`);
    }
  }

  /** What belongs to the page for people, where there is one. */
  #answerPerson(path: string, host: string | undefined): Answer | undefined {
    if (this.#page === undefined || (path !== "/" && path !== STATS_PATH)) return undefined;
    if (!this.#hosts.takes(host)) return misdirected();
    if (path === "/") return answer(200, this.#page.body, this.#page.headers);
    return answer(200, `${JSON.stringify(statsJson(this.#options.stats()))}\n`, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
    });
  }
}

/** RFC 9110 §15.5.20. */
function misdirected(): Answer {
  return answer(
    421,
    "this host name is not one of the endpoint's: ask by IP address, or add the name to metrics.hosts\n",
  );
}

function answer(
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers },
    body,
  };
}
