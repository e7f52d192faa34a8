import assert from "node:assert/strict";
import { L7, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import { END_HEADERS, END_STREAM, frame, headers, joined } from "./harness/raw_http.ts";

// Answers that have no content (RFC 9110 §6.4.1, §8.6, §15.3.6), from backends that say or send otherwise. The clients are
// node's: its HTTP/2 (nghttp2) breaks off the stream for a length where none may be.

interface Case {
  readonly method?: string;
  readonly octets: (stream: number) => Uint8Array | string;
  readonly status: number;
  /** What the client is told of the length, over HTTP/2 and over HTTP/1.1. */
  readonly length: readonly [h2: string | undefined, h1: string | undefined];
}

const NONE = [undefined, undefined] as const;
const NOTHING = [undefined, "0"] as const;
const FIVE = ["5", "5"] as const;
const LENGTH = "Content-Length: 5\r\n";

const FROM_HTTP1: Readonly<Record<string, Case>> = {
  "204 with a length": { octets: () => `HTTP/1.1 204 No Content\r\n${LENGTH}\r\n`, status: 204, length: NONE },
  "204 of length 0": { octets: () => "HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n", status: 204, length: NONE },
  "204 with content": { octets: () => `HTTP/1.1 204 OK\r\n${LENGTH}\r\nhello`, status: 204, length: NONE },
  "204 with chunks": {
    octets: () => "HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    status: 204,
    length: NONE,
  },
  "205 with content": { octets: () => `HTTP/1.1 205 OK\r\n${LENGTH}\r\nhello`, status: 205, length: NOTHING },
  "205 with chunks": {
    octets: () => "HTTP/1.1 205 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    status: 205,
    length: NOTHING,
  },
  "205 of length 0": { octets: () => "HTTP/1.1 205 OK\r\nContent-Length: 0\r\n\r\n", status: 205, length: NOTHING },
  "304 with a length": { octets: () => `HTTP/1.1 304 OK\r\n${LENGTH}\r\n`, status: 304, length: FIVE },
  "304 with content": { octets: () => `HTTP/1.1 304 OK\r\n${LENGTH}\r\nhello`, status: 304, length: FIVE },
  "HEAD": { method: "HEAD", octets: () => `HTTP/1.1 200 OK\r\n${LENGTH}\r\n`, status: 200, length: FIVE },
  "HEAD with content": {
    method: "HEAD",
    octets: () => `HTTP/1.1 200 OK\r\n${LENGTH}\r\nhello`,
    status: 200,
    length: FIVE,
  },
  "103 with a length": {
    octets: () => `HTTP/1.1 103 Early Hints\r\n${LENGTH}\r\nHTTP/1.1 204 OK\r\n\r\n`,
    status: 204,
    length: NONE,
  },
};

const WITH_LENGTH: [string, string] = ["content-length", "5"];

/** A head of HTTP/2, and then content. */
function http2(status: string, fields: [string, string][], content?: string): (stream: number) => Uint8Array {
  return (stream) =>
    joined(
      headers(stream, [[":status", status], ...fields], content === undefined ? END_HEADERS | END_STREAM : END_HEADERS),
      ...content === undefined ? [] : [frame("DATA", END_STREAM, stream, content)],
    );
}

const FROM_HTTP2: Readonly<Record<string, Case>> = {
  "204 with a length": { octets: http2("204", [WITH_LENGTH]), status: 204, length: NONE },
  "204 of length 0": { octets: http2("204", [["content-length", "0"]]), status: 204, length: NONE },
  "204 with content": { octets: http2("204", [WITH_LENGTH], "hello"), status: 204, length: NONE },
  "204 that ends behind its head": { octets: http2("204", [], ""), status: 204, length: NONE },
  "205 with a length": { octets: http2("205", [WITH_LENGTH]), status: 205, length: NOTHING },
  "205 with content": { octets: http2("205", [WITH_LENGTH], "hello"), status: 205, length: NOTHING },
  "205 with content of no length": { octets: http2("205", [], "hello"), status: 205, length: NOTHING },
  "304 with a length": { octets: http2("304", [WITH_LENGTH]), status: 304, length: FIVE },
  "304 with content": { octets: http2("304", [WITH_LENGTH], "hello"), status: 304, length: FIVE },
  "HEAD": { method: "HEAD", octets: http2("200", [WITH_LENGTH]), status: 200, length: FIVE },
  "HEAD with content": { method: "HEAD", octets: http2("200", [WITH_LENGTH], "hello"), status: 200, length: FIVE },
  "HEAD that ends behind its head": {
    method: "HEAD",
    octets: http2("200", [WITH_LENGTH], ""),
    status: 200,
    length: FIVE,
  },
  "103 with a length": {
    octets: (stream) =>
      joined(headers(stream, [[":status", "103"], WITH_LENGTH], END_HEADERS), http2("204", [])(stream)),
    status: 204,
    length: NONE,
  },
};

testEachEngine("answers without content have none, whatever the backend says or sends", async () => {
  for (const [kind, cases] of [["h1", FROM_HTTP1], ["h2c", FROM_HTTP2]] as const) {
    await using backend = new RecordingBackend(kind);
    const keys = kind === "h1" ? { backend_protocol: "http1" } : {};
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...keys }], {
      proxy: { workers: 1 },
    });
    const usual = backend.answer;
    for (const version of VERSIONS) {
      using client = await l7.connect(version, "a.test");
      for (const [name, { method = "GET", octets, status, length }] of Object.entries(cases)) {
        const what = `${name}, ${kind} to ${version}`;
        backend.answer = (stream) => ({ octets: octets(stream) });
        const answer = await client.ask({ method, path: `/${encodeURIComponent(what)}` });
        assert.deepEqual(
          [answer.status, answer.headers["content-length"], answer.body.length],
          [status, length[version === "h2" ? 0 : 1], 0],
          what,
        );
        for (const { headers } of answer.interim) assert.equal(headers["content-length"], undefined, what);
        const { error } = await l7.proxy.event("request", { path: `/${encodeURIComponent(what)}`, status });
        assert.equal(error, undefined, what);
        backend.answer = usual;
        assert.equal((await client.ask()).status, 200, `${what}: the next`);
      }
    }
  }
});
