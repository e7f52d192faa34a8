/**
 * A client in every state that a TLS connection of an L7 route can be in, each of which can go on from there.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Gate, type Passing } from "./gate.ts";
import { HttpBackend } from "./http.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  latin1,
  pseudo,
  RawClient,
  RawHttp2Client,
  type Reachable,
  TYPES,
} from "./raw_http.ts";

/** What an answer of `/held` begins with: fits any window, and is more than one record of TLS. */
const BEGUN = "begun " + "x".repeat(20_000);
const DONE = " done";
const HELD_LENGTH = BEGUN.length + DONE.length;
/** What `/echo` is sent, in two parts. */
const HALVES = ["half a request, ", "and the other half"] as const;

/** A backend whose answers and requests can be left half done. */
export class HalvingBackend implements AsyncDisposable {
  readonly http: HttpBackend;
  readonly #held: Map<string, () => void>;
  readonly #arrived: Map<string, PromiseWithResolvers<void>>;

  private constructor(
    http: HttpBackend,
    held: Map<string, () => void>,
    arrived: Map<string, PromiseWithResolvers<void>>,
  ) {
    this.http = http;
    this.#held = held;
    this.#arrived = arrived;
  }

  static async start(): Promise<HalvingBackend> {
    const held = new Map<string, () => void>();
    const arrived = new Map<string, PromiseWithResolvers<void>>();
    const http = await HttpBackend.start("h1", (request, response) => {
      const { url = "" } = request;
      if (url.startsWith("/held/")) {
        response.setHeader("content-length", HELD_LENGTH);
        response.write(BEGUN);
        held.set(url, () => response.end(DONE));
      } else if (url.startsWith("/echo/")) {
        response.setHeader("content-length", HALVES[0].length + HALVES[1].length);
        request.once("data", () => arrived.get(url)?.resolve());
        request.pipe(response);
      } else {
        response.setHeader("content-length", 5);
        response.end("hello");
      }
    });
    http.server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      const key = String(request.headers["sec-websocket-key"]);
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
          `sec-websocket-accept: ${accept}\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    return new HalvingBackend(http, held, arrived);
  }

  /** What a route to it says. */
  get route(): { backend: string; backend_protocol: string } {
    return { backend: this.http.addr, backend_protocol: "http1" };
  }

  /** Has the answer of a path of `/held/` end. */
  finish(path: string): void {
    const finish = this.#held.get(path);
    assert.ok(finish !== undefined, `${path} was not asked for`);
    finish();
  }

  /** Resolves when a part of the body of a path of `/echo/` has come; to be asked before it is sent. */
  arrival(path: string): Promise<void> {
    const arrival = Promise.withResolvers<void>();
    this.#arrived.set(path, arrival);
    return arrival.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http[Symbol.asyncDispose]();
  }
}

/** The states, in the order in which a connection comes to them. */
export const STATES = [
  "ClientHello partly sent",
  "client's Finished withheld",
  "idle HTTP/1.1 behind a request",
  "idle HTTP/2 behind a request",
  "head half sent",
  "body half sent",
  "answer half read",
  "WebSocket open",
  "HTTP/2 with open streams",
] as const;
export type State = typeof STATES[number];

/** A client that has come to a state. */
export interface StateClient {
  readonly state: State;
  readonly gate: Gate;
  /** Goes on to the end of the request that is under way, or of one that it begins, and checks all of the answer. */
  finish(): Promise<void>;
  /**
   * Reads to the end of the connection: `in order` where the proxy said so before (RFC 8446 §6.1), `cut` where it did
   * not.
   */
  readOut(): Promise<"in order" | "cut">;
  /** Ends its half, and reads the other as {@linkcode StateClient.readOut} does. */
  leave(): Promise<"in order" | "cut">;
  /** Closes what is left of it; once is enough. */
  close(): Promise<void>;
}

let paths = 0;

/**
 * Brings a client to a state. What tells that the proxy is there too is what came back from it, or from the backend.
 *
 * @param to With an L7 route of `a.test` to the backend.
 */
export async function enter(state: State, to: Reachable, backend: HalvingBackend): Promise<StateClient> {
  const gate = await Gate.open(to.proxy.address(), passingOf(state));
  const through = { proxy: { address: () => gate.address }, authority: to.authority };
  const opening = state.includes("HTTP/2") ? RawHttp2Client.connect(through) : RawClient.open(through);
  opening.catch(() => {}); // whoever goes on is told
  const path = `${++paths}`;
  let isClosed = false;
  const finish = await ENTERING[state]({ gate, opening, backend, path });
  return {
    state,
    gate,
    finish,
    async readOut() {
      const client = await opening.catch(() => undefined);
      return client === undefined ? "cut" : await readOut(client.conn);
    },
    async leave() {
      const { conn } = await opening;
      await conn.closeWrite();
      return await readOut(conn);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await gate.close();
      (await opening.catch(() => undefined))?.[Symbol.dispose]();
    },
  };
}

function passingOf(state: State): Passing {
  switch (state) {
    case "ClientHello partly sent":
      return "half_hello";
    case "client's Finished withheld":
      return "hello";
    default:
      return "all";
  }
}

/** What there is to come to a state with. */
interface Entry {
  readonly gate: Gate;
  readonly opening: Promise<RawClient>;
  readonly backend: HalvingBackend;
  /** The end of a path that no other client asks for. */
  readonly path: string;
}

/** Goes on from there: {@linkcode StateClient.finish}. */
type Finish = () => Promise<void>;

/** How each state is come to. */
const ENTERING: Readonly<Record<State, (entry: Entry) => Promise<Finish>>> = {
  "ClientHello partly sent": withhold,
  "client's Finished withheld": withhold,
  async "idle HTTP/1.1 behind a request"({ opening }) {
    const client = await opening;
    await hello(client);
    return () => hello(client);
  },
  async "idle HTTP/2 behind a request"({ opening }) {
    const client = asHttp2(await opening);
    const ask = async (stream: number) => {
      const answers = new Answers(client, [stream]);
      await client.send(headers(stream, pseudo()));
      await answers.toEnd();
      assert.equal(answers.body(stream), "hello");
    };
    await ask(1); // who has asked for nothing yet has a time of its own when the server drains
    return () => ask(3);
  },
  async "head half sent"({ opening }) {
    const client = await opening;
    await client.send(`${HELLO_REQUEST}GET / HTTP/1.1\r\nho`); // the answer to the one tells that the other is read
    await client.readUntil("hello");
    return async () => {
      await client.send("st: a.test\r\n\r\n");
      await client.readUntil("hello");
    };
  },
  async "body half sent"({ opening, backend, path }) {
    const client = await opening;
    const arrival = backend.arrival(`/echo/${path}`);
    const length = HALVES[0].length + HALVES[1].length;
    await client.send(
      `POST /echo/${path} HTTP/1.1\r\nhost: a.test\r\ncontent-length: ${length}\r\n\r\n`,
      HALVES[0],
    );
    await arrival;
    return async () => {
      await client.send(HALVES[1]);
      assert.match(await client.readUntil(HALVES[1]), new RegExp(`\r\n\r\n${HALVES.join("")}$`));
    };
  },
  async "answer half read"({ opening, backend, path }) {
    const client = await opening;
    await client.send(`GET /held/${path} HTTP/1.1\r\nhost: a.test\r\n\r\n`);
    const first = await client.readUntil("\r\n\r\nbegun ");
    return async () => {
      backend.finish(`/held/${path}`);
      const answer = first + await client.readUntil(DONE);
      assert.equal(answer.slice(answer.indexOf("\r\n\r\n") + 4), BEGUN + DONE);
    };
  },
  async "WebSocket open"({ opening }) {
    const client = await opening;
    await client.send(
      "GET /tunnel HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + "first",
    );
    await client.readUntil("\r\n\r\nfirst");
    return async () => {
      await client.send("second");
      assert.equal(await client.readUntil("second"), "second");
    };
  },
  async "HTTP/2 with open streams"({ opening, backend, path }) {
    const client = asHttp2(await opening);
    const answers = new Answers(client, [1, 3]);
    const arrival = backend.arrival(`/echo/${path}`);
    await client.send(
      headers(1, pseudo({ ":path": `/held/${path}` })),
      headers(3, pseudo({ ":method": "POST", ":path": `/echo/${path}` }), END_HEADERS),
      frame("DATA", 0, 3, HALVES[0]),
    );
    await arrival;
    await answers.begun(1);
    return async () => {
      backend.finish(`/held/${path}`);
      await client.send(frame("DATA", END_STREAM, 3, HALVES[1]));
      await answers.toEnd();
      assert.equal(answers.body(1), BEGUN + DONE);
      assert.equal(answers.body(3), HALVES.join(""));
    };
  },
};

/** Has the gate hold back what the client says. */
async function withhold({ gate, opening }: Entry): Promise<Finish> {
  await gate.held;
  return async () => {
    gate.release();
    await hello(await opening);
  };
}

const HELLO_REQUEST = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";

/** One request of HTTP/1.1. */
async function hello(client: RawClient): Promise<void> {
  await client.send(HELLO_REQUEST);
  assert.match(await client.readUntil("hello"), /^HTTP\/1\.1 200 /);
}

/** What streams of a connection of HTTP/2 are answered. */
class Answers {
  readonly #client: RawHttp2Client;
  readonly #open: Set<number>;
  readonly #bodies = new Map<number, string>();

  constructor(client: RawHttp2Client, streams: readonly number[]) {
    this.#client = client;
    this.#open = new Set(streams);
  }

  body(stream: number): string {
    return this.#bodies.get(stream) ?? "";
  }

  /** Reads until something of the body of a stream is there. */
  async begun(stream: number): Promise<void> {
    while (this.body(stream) === "") await this.#readOne();
  }

  /** Reads to the end of every stream. */
  async toEnd(): Promise<void> {
    while (this.#open.size > 0) await this.#readOne();
  }

  async #readOne(): Promise<void> {
    const next = await this.#client.next();
    assert.ok(next !== undefined, `the connection ended before streams ${[...this.#open].join()}`);
    const { type, flags, stream, payload } = next;
    assert.notEqual(type, TYPES.RST_STREAM, `stream ${stream} was reset`);
    if (type === TYPES.DATA) this.#bodies.set(stream, this.body(stream) + latin1(payload));
    if ((type === TYPES.DATA || type === TYPES.HEADERS) && (flags & END_STREAM) !== 0) this.#open.delete(stream);
  }
}

function asHttp2(client: RawClient): RawHttp2Client {
  assert.ok(client instanceof RawHttp2Client);
  return client;
}

async function readOut(conn: Deno.TlsConn): Promise<"in order" | "cut"> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    while (await conn.read(buffer) !== null);
    return "in order";
  } catch {
    return "cut";
  }
}
