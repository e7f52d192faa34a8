import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import { startAppBackend } from "./app_backend.ts";

/** What a proxy says of a client. */
const FORWARDED = {
  "x-real-ip": "192.0.2.7",
  "x-forwarded-for": "203.0.113.1, 192.0.2.7",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "app.localhost",
  "x-request-id": "id-1",
};

async function withApp(test: (session: ClientHttp2Session) => Promise<void>): Promise<void> {
  const backend = await startAppBackend();
  const session = connect(`http://${backend.addr}`);
  session.on("error", () => {}); // the streams tell
  try {
    await once(session, "remoteSettings");
    await test(session);
  } finally {
    session.destroy();
    await backend.close();
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<Answer> {
  const stream = session.request({ ...FORWARDED, ...headers });
  stream.end();
  const [head] = await once(stream, "response");
  const body = (await stream.setEncoding("utf8").toArray()).join("");
  return { status: head[":status"], headers: head, body };
}

Deno.test("the app tells whom the proxy names: as text, as a page in which all is escaped, and as JSON", () =>
  withApp(async (session) => {
    const text = await ask(session, { ":path": "/?a=b", accept: "*/*" });
    assert.equal(text.headers["content-type"], "text/plain; charset=utf-8");
    assert.match(text.body, /^Client: +192\.0\.2\.7$/m);
    assert.match(text.body, /^Forwarded for: +203\.0\.113\.1, 192\.0\.2\.7$/m);
    assert.match(text.body, /^Asked for: +https:\/\/app\.localhost$/m);
    assert.match(text.body, /^Request id: +id-1$/m);
    assert.match(text.body, /^Request: +GET \/\?a=b$/m);
    assert.doesNotMatch(text.body, /:path/);

    const page = await ask(session, { ":path": "/", accept: "text/html,*/*", "x-mark": "<script>&\"'" });
    assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
    assert.match(page.body, /<div class="client">192\.0\.2\.7<\/div>/);
    assert.match(page.body, /<dd>&lt;script&gt;&amp;&quot;&#39;<\/dd>/);

    const json = await ask(session, { ":path": "/api/request" });
    assert.equal(json.headers["content-type"], "application/json");
    const { client, forwarded_for, host, request_id, method } = JSON.parse(json.body);
    assert.deepEqual([client, forwarded_for, host, request_id, method], [
      "192.0.2.7",
      ["203.0.113.1", "192.0.2.7"],
      "app.localhost",
      "id-1",
      "GET",
    ]);
  }));

Deno.test("the app's policy lets nothing in but its own style and script, which it serves", () =>
  withApp(async (session) => {
    const { headers, body } = await ask(session, { ":path": "/", accept: "text/html" });
    assert.match(
      String(headers["content-security-policy"]),
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    assert.doesNotMatch(body, /<style|style=|<script>| on\w+=/);
    const fetched = Array.from(body.matchAll(/(?:src|href)="(\/[^"]+)"/g), ([, path]) => path ?? "");
    assert.deepEqual(fetched, ["/app.css", "/app.js"]);
    for (const path of fetched) {
      const answer = await ask(session, { ":path": path });
      assert.deepEqual([answer.status, answer.headers["x-content-type-options"]], [200, "nosniff"]);
      assert.match(String(answer.headers["content-type"]), /^text\/(css|javascript); charset=utf-8$/);
    }
    const ids = Array.from(body.matchAll(/ id="([^"]+)"/g), ([, id]) => id);
    const script = (await ask(session, { ":path": "/app.js" })).body;
    for (const [, id = ""] of script.matchAll(/getElementById\("([^"]+)"\)/g)) assert.ok(ids.includes(id), id);
  }));

Deno.test("the app refuses what is not there, and does not answer HEAD with a body", () =>
  withApp(async (session) => {
    for (const path of ["/nowhere", "/__proto__", "/constructor"]) {
      assert.equal((await ask(session, { ":path": path })).status, 404);
    }
    assert.equal((await ask(session, { ":path": "/echo" })).status, 426);
    const posted = await ask(session, { ":path": "/", ":method": "POST" });
    assert.deepEqual([posted.status, posted.headers["allow"]], [405, "GET, HEAD"]);
    for (const path of ["/", "/events"]) {
      const { status, body } = await ask(session, { ":path": path, ":method": "HEAD" });
      assert.deepEqual([status, body], [200, ""]);
    }
  }));

Deno.test("the first event comes at once, and others follow", () =>
  withApp(async (session) => {
    const stream = session.request({ ":path": "/events" }).setEncoding("utf8");
    const [head] = await once(stream, "response");
    assert.equal(head["content-type"], "text/event-stream");
    let text = "";
    for await (const chunk of stream) {
      text += chunk;
      if (/^data: \{"count":2,"time":"[^"]+"\}\n\n/m.test(text)) break;
    }
    assert.match(text, /^data: \{"count":1,"time":"[^"]+"\}\n\ndata: /);
  }));

/** A frame as a client sends it. */
function masked(opcode: number, payload: string | Buffer, { fin = true } = {}): Buffer {
  const bytes = Buffer.from(payload as string);
  const extended = bytes.length > 0xffff ? 8 : bytes.length > 125 ? 2 : 0;
  const head = Buffer.alloc(2 + extended);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (extended === 8 ? 127 : extended === 2 ? 126 : bytes.length);
  if (extended === 2) head.writeUInt16BE(bytes.length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(bytes.length), 2);
  const mask = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([head, mask, Buffer.from(bytes.map((octet, i) => octet ^ (mask[i % 4] ?? 0)))]);
}

async function openEcho(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/echo" }, {
    endStream: false,
  });
  const [head] = await once(stream, "response");
  assert.equal(head[":status"], 200);
  return stream;
}

/** All that comes until the server ends. */
async function exchange(session: ClientHttp2Session, ...frames: Buffer[]): Promise<Buffer> {
  const stream = await openEcho(session);
  for (const octet of Buffer.concat(frames)) stream.write(Buffer.of(octet)); // as badly cut as can be
  const answer = Buffer.concat(await stream.toArray());
  stream.end();
  return answer;
}

Deno.test("a WebSocket's messages come back unmasked, in parts where they came so, and pings are answered", () =>
  withApp(async (session) => {
    const close = masked(8, Buffer.of(0x03, 0xe8));
    const answer = await exchange(
      session,
      masked(1, "hello"),
      masked(1, "in ", { fin: false }),
      masked(9, "ping"),
      masked(0, "parts"),
      masked(2, "x".repeat(126)),
      close,
    );
    assert.deepEqual(
      answer.toString("latin1"),
      "\x81\x05hello\x01\x03in \x8a\x04ping\x80\x05parts\x82\x7e\x00\x7e" + "x".repeat(126) + "\x88\x02\x03\xe8",
    );
  }));

Deno.test("a WebSocket's large frames come back whole, and one beyond 64 KiB closes it", () =>
  withApp(async (session) => {
    const stream = await openEcho(session);
    const large = Buffer.alloc(65_536, "y");
    stream.write(masked(2, large));
    stream.write(masked(2, Buffer.concat([large, large])));
    const answer = Buffer.concat(await stream.toArray());
    stream.end();
    assert.deepEqual([...answer.subarray(0, 10)], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert.ok(answer.subarray(10, 10 + large.length).equals(large));
    assert.deepEqual([...answer.subarray(10 + large.length)], [0x88, 2, 0x03, 0xf1]); // 1009
  }));

Deno.test("a WebSocket frame that breaks a rule closes it with 1002", () =>
  withApp(async (session) => {
    const broken = {
      "not masked": Buffer.from("\x81\x01x"),
      "a reserved bit": Buffer.concat([Buffer.of(0xc1), masked(1, "x").subarray(1)]),
      "an unknown opcode": masked(3, "x"),
      "a ping in parts": masked(9, "x", { fin: false }),
      "a long ping": masked(9, "x".repeat(126)),
    };
    for (const [what, frame] of Object.entries(broken)) {
      assert.deepEqual([...await exchange(session, frame)], [0x88, 2, 0x03, 0xea], what);
    }
  }));

Deno.test("no tunnel but a WebSocket to /echo is opened", () =>
  withApp(async (session) => {
    for (const [path, protocol] of [["/", "websocket"], ["/echo", "other"]] as const) {
      const stream = session.request({ ":method": "CONNECT", ":protocol": protocol, ":path": path });
      const [head] = await once(stream, "response");
      assert.equal(head[":status"], 404);
      stream.close();
    }
  }));
