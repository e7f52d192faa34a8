import { accept } from "../../lib/edge/listen.ts";
import { END_HEADERS, END_STREAM, type Frame, frame, joined, latin1, octets, settings, TYPES } from "./raw_http.ts";

/** What a backend answers to a request: octets, and whether the connection ends behind them. */
export interface Script {
  readonly octets: Uint8Array | string;
  readonly close?: boolean;
}

/** Answers a request. @param stream Of HTTP/2. */
export type Answering = (stream: number) => Script;

/** One connection of the proxy's to a backend. */
export class Heard {
  /** Each octet that came. */
  octets = "";
  /** HTTP/2: the frames that came. */
  readonly frames: Frame[] = [];
  /** How many requests began, and how many came to their end. */
  begun = 0;
  whole = 0;
  /** No more comes. */
  isOver = false;
}

/**
 * A backend that keeps every octet. It reads strictly by lengths and chunks, answers what is whole, and goes on listening
 * to what breaks rules.
 */
export class RecordingBackend implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Deno.Conn>();
  readonly #protocol: "h1" | "h2c";
  answer: Answering;
  /** HTTP/2: what it says to the preface, and to PING; by default what RFC 9113 has it say. */
  greeting: () => Uint8Array = () => joined(settings(), frame("SETTINGS", 1, 0));
  pong: () => Uint8Array = () => frame("PING", 1, 0, new Uint8Array(8));
  #changed = Promise.withResolvers<void>();
  readonly #serving: Promise<void>;

  constructor(protocol: "h1" | "h2c", answer: Answering = protocol === "h1" ? okHttp1 : okHttp2) {
    this.#protocol = protocol;
    this.answer = answer;
    this.#serving = this.#serve();
  }

  /** `host:port`, as a route names it. */
  get addr(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  get begun(): number {
    return this.heard.reduce((sum, { begun }) => sum + begun, 0);
  }

  get whole(): number {
    return this.heard.reduce((sum, { whole }) => sum + whole, 0);
  }

  /** All that came, of every connection. */
  get octets(): string {
    return this.heard.map(({ octets }) => octets).join("\n--\n");
  }

  /** Waits until `holds`, which is asked whenever something has come. */
  async until(holds: (backend: this) => boolean): Promise<void> {
    while (!holds(this)) await this.#changed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) conn.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    try {
      for (;;) void this.#hear(await accept(this.#listener));
    } catch {
      // The test has closed it.
    }
  }

  async #hear(conn: Deno.TcpConn): Promise<void> {
    this.#conns.add(conn);
    const heard = new Heard();
    this.heard.push(heard);
    const reader = this.#protocol === "h1" ? new Http1Reader(heard) : new Http2Reader(heard, this);
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
        const bytes = buffer.slice(0, n);
        heard.octets += latin1(bytes);
        const { reply, answered } = reader.read(bytes);
        await writeAll(conn, reply);
        for (const stream of answered) {
          const script = this.answer(stream);
          await writeAll(conn, typeof script.octets === "string" ? octets(script.octets) : script.octets);
          if (script.close) await conn.closeWrite();
        }
        this.#wake();
      }
    } catch {
      // Broken off, by the proxy or the test.
    }
    heard.isOver = true;
    this.#conns.delete(conn);
    try {
      conn.close();
    } catch {
      // The test has closed it.
    }
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** What to say at once, and which requests are to be answered. */
interface Reading {
  readonly reply: Uint8Array;
  readonly answered: readonly number[];
}

const NOTHING = new Uint8Array(0);

class Http1Reader {
  readonly #heard: Heard;
  #rest = "";
  #inBody = false;

  constructor(heard: Heard) {
    this.#heard = heard;
  }

  read(bytes: Uint8Array): Reading {
    this.#rest += latin1(bytes);
    const answered: number[] = [];
    for (;;) {
      const end = this.#rest.indexOf("\r\n\r\n");
      if (end < 0) break;
      if (!this.#inBody) this.#heard.begun++;
      this.#inBody = true;
      const length = bodyLength(this.#rest.slice(0, end + 4), this.#rest.slice(end + 4));
      if (length === undefined) break;
      this.#rest = this.#rest.slice(end + 4 + length);
      this.#inBody = false;
      this.#heard.whole++;
      answered.push(0);
    }
    return { reply: NOTHING, answered };
  }
}

/** How many octets the body has, if all of it is there. */
function bodyLength(head: string, rest: string): number | undefined {
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
    let at = 0;
    for (;;) {
      const size = /^([0-9a-f]+)\r\n/i.exec(rest.slice(at));
      if (size === null) return undefined;
      at += size[0].length + parseInt(size[1] ?? "", 16);
      if (size[1] === "0") break;
      at += 2;
    }
    const end = rest.startsWith("\r\n", at) ? at + 2 : rest.indexOf("\r\n\r\n", at) + 4;
    return end > 3 || rest.startsWith("\r\n", at) ? end : undefined;
  }
  const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
  return rest.length >= length ? length : undefined;
}

class Http2Reader {
  readonly #heard: Heard;
  readonly #words: Pick<RecordingBackend, "greeting" | "pong">;
  #rest: Uint8Array = NOTHING;
  #prefaceLeft = 24;
  #lastStream = 0;

  constructor(heard: Heard, words: Pick<RecordingBackend, "greeting" | "pong">) {
    this.#heard = heard;
    this.#words = words;
  }

  read(bytes: Uint8Array): Reading {
    let rest = joined(this.#rest, bytes);
    let reply: Uint8Array = NOTHING;
    if (this.#prefaceLeft > 0) {
      if (rest.length < this.#prefaceLeft) {
        this.#rest = rest;
        return { reply, answered: [] };
      }
      rest = rest.slice(this.#prefaceLeft);
      this.#prefaceLeft = 0;
      reply = this.#words.greeting();
    }
    const answered: number[] = [];
    while (rest.length >= 9) {
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0) >>> 8;
      if (rest.length < 9 + length) break;
      const [type = 0, flags = 0] = rest.subarray(3);
      const stream = new DataView(rest.buffer, rest.byteOffset).getUint32(5) & 0x7fffffff;
      this.#heard.frames.push({ type, flags, stream, payload: rest.slice(9, 9 + length) });
      rest = rest.slice(9 + length);
      if (type === TYPES.HEADERS && stream > this.#lastStream) {
        this.#heard.begun++;
        this.#lastStream = stream;
      }
      if ((type === TYPES.HEADERS || type === TYPES.DATA) && (flags & END_STREAM) !== 0) {
        this.#heard.whole++;
        answered.push(stream);
      }
      if (type === TYPES.PING && flags === 0) reply = joined(reply, this.#words.pong());
    }
    this.#rest = rest;
    return { reply, answered };
  }
}

const STATUS_200 = Uint8Array.of(0x88);

function okHttp1(): Script {
  return { octets: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" };
}

function okHttp2(stream: number): Script {
  return { octets: frame("HEADERS", END_STREAM | END_HEADERS, stream, STATUS_200) };
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}
