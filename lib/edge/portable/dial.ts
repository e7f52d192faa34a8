/**
 * Dialling a backend.
 *
 * @module
 */

import { formatIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import type { CounterWriter, RejectReason } from "../counters.ts";
import type { Deadlines, Expirable } from "../deadlines.ts";
import type { End } from "../end.ts";
import type { EngineEvents } from "../engine.ts";
import type { EdgeTimeouts, RouteSnapshot } from "../snapshot.ts";
import { messageOf } from "../thrown.ts";

/** A backend's addresses, and which of them answered last. */
export class Backend {
  /** Dialled first. */
  preferred = 0;
  readonly addresses: readonly Deno.ConnectOptions[];

  constructor(addresses: readonly Endpoint[]) {
    this.addresses = addresses.map(({ address, port }) => ({
      hostname: formatIpAddress(address),
      port,
      autoSelectFamily: false, // the addresses are tried one by one, each for its share of the time
    }));
  }
}

/** What dialling needs of the engine. */
export interface DialEngine {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly counters: CounterWriter;
  readonly deadlines: Deadlines;
  readonly events: Pick<EngineEvents, "dialFailed">;
  readonly timeouts: EdgeTimeouts;
}

/** What dialling needs of a connection. */
export interface DialledConnection extends Expirable {
  readonly engine: DialEngine;
  /** How it ended; `undefined` while it lives. */
  readonly ended: End | undefined;
  /** The connect under way, for whoever ends the connection meanwhile. */
  dialing: DialAttempt | undefined;
}

/** One connect under way; it is given up when its time is over or its connection ends. */
export class DialAttempt implements Expirable {
  deadline = 0;
  slot = -1;
  timedOut = false;
  readonly #controller = new AbortController();

  /** @throws As `Deno.connect`, and the reason of the abort. */
  async connect(address: Deno.ConnectOptions, deadlines: Deadlines, ms: number): Promise<Deno.TcpConn> {
    deadlines.set(this, ms);
    try {
      return await Deno.connect({ ...address, signal: this.#controller.signal });
    } finally {
      deadlines.clear(this);
    }
  }

  expire(): void {
    this.timedOut = true;
    this.abort();
  }

  abort(): void {
    this.#controller.abort();
  }
}

/**
 * Connects to a backend within `connect_timeout`, trying its addresses in turn, first the one that answered last.
 *
 * @returns The open socket, or how the connection ends.
 */
export async function dial(
  connection: DialledConnection,
  { backend: name, rows }: RouteSnapshot,
): Promise<{ socket: Deno.TcpConn } | End> {
  const { engine } = connection;
  const backend = engine.backends.get(name);
  const count = backend?.addresses.length ?? 0;
  engine.deadlines.clear(connection);
  const startedAt = performance.now();
  const giveUpAt = engine.deadlines.time + engine.timeouts.connectMs;
  let failure: End = { reason: "backend_unresolved" };
  for (let i = 0; i < count && connection.ended === undefined; i++) {
    const index = ((backend?.preferred ?? 0) + i) % count;
    const address = backend?.addresses[index];
    if (backend === undefined || address === undefined) break;
    const attempt = new DialAttempt();
    connection.dialing = attempt;
    try {
      const share = (giveUpAt - engine.deadlines.time) / (count - i);
      const socket = await attempt.connect(address, engine.deadlines, share);
      connection.dialing = undefined;
      if (connection.ended === undefined) {
        backend.preferred = index;
        engine.counters.routes.dialled(rows.backend, (performance.now() - startedAt) / 1000);
        return { socket };
      }
      socket.close(); // connected at the very moment of the abort
    } catch (error) {
      connection.dialing = undefined;
      failure = dialFailure(error, attempt.timedOut);
    }
  }
  if (connection.ended === undefined) engine.counters.routes.dialFailed(rows.backend);
  engine.events.dialFailed(name);
  return failure;
}

function dialFailure(error: unknown, timedOut: boolean): End {
  if (timedOut || error instanceof Deno.errors.TimedOut) return { reason: "backend_timeout" };
  if (error instanceof Deno.errors.ConnectionRefused) return { reason: "backend_refused" };
  const reason: RejectReason = "backend_unreachable";
  return { reason, detail: messageOf(error) };
}
