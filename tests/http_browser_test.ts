import assert from "node:assert/strict";
import { backendKeys, L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { runTool } from "./harness/tools.ts";

const EVENTS = 3;
const LARGE = 300_000;

/** Does what pages do, reports what came of it, and is loaded only then, since `/gate` waits for the report. */
const PAGE = `<!doctype html><title>A page</title><h1>Served by mc-proxy</h1><ul></ul><img src="/gate" alt="">
<script type="module">
const large = new Uint8Array(${LARGE}).map((_, i) => i);
const same = (bytes) => bytes.byteLength === large.length && new Uint8Array(bytes).every((b, i) => b === large[i]);

async function upload() {
  const answer = await fetch("/echo", { method: "POST", body: large });
  return same(await answer.arrayBuffer());
}

async function parallel() {
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => fetch("/echo?" + i)));
  return [...new Set(answers.map(({ status }) => status))];
}

async function socket() {
  const socket = new WebSocket("wss://" + location.host + "/socket");
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  const next = () => new Promise((resolve) => socket.onmessage = ({ data }) => resolve(data));
  const said = [];
  for (const word of ["one", "two", "three"]) {
    const answer = next();
    socket.send(word);
    said.push(await answer);
  }
  const answer = next();
  socket.send(large);
  said.push(same(await answer));
  const closed = new Promise((resolve) => socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]));
  socket.close(1000);
  return [...said, ...await closed];
}

async function events() {
  const seen = [];
  const source = new EventSource("/events");
  await new Promise((resolve, reject) => {
    source.onerror = reject;
    source.onmessage = ({ data }) => {
      seen.push(data);
      fetch("/seen"); // the next one is sent only now
      if (seen.length === ${EVENTS}) resolve();
    };
  });
  source.close();
  return seen;
}

const report = { protocol: performance.getEntriesByType("navigation")[0].nextHopProtocol };
for (const what of [upload, parallel, socket, events]) {
  report[what.name] = await what().catch((error) => String(error));
  document.querySelector("ul").append(Object.assign(document.createElement("li"), {
    textContent: what.name + ": " + JSON.stringify(report[what.name]),
  }));
}
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
</script>`;

/** A backend of HTTP/1.1 and h2c; it takes WebSockets in HTTP/1.1. */
function serve() {
  const reports: unknown[] = [];
  let reported = Promise.withResolvers<void>();
  let seen = Promise.withResolvers<void>();

  async function* events(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < EVENTS; i++) {
      seen = Promise.withResolvers();
      yield new TextEncoder().encode(`data: event ${i}\n\n`);
      await seen.promise;
    }
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/":
        return new Response(PAGE, { headers: { "content-type": "text/html" } });
      case "/echo":
        return new Response(request.body);
      case "/events":
        return new Response(ReadableStream.from(events()), { headers: { "content-type": "text/event-stream" } });
      case "/seen":
        seen.resolve();
        return new Response(null, { status: 204 });
      case "/socket": {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.binaryType = "arraybuffer";
        socket.onmessage = ({ data }) => socket.send(data);
        return response;
      }
      case "/report":
        reports.push(await request.json());
        reported.resolve();
        return new Response(null, { status: 204 });
      case "/gate":
        await reported.promise;
        return new Response(null, { status: 204 });
      default:
        return new Response(null, { status: 404 });
    }
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  return {
    addr: `127.0.0.1:${server.addr.port}`,
    reports,
    again: () => reported = Promise.withResolvers(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const EXPECTED = {
  upload: true,
  parallel: [200],
  socket: ["one", "two", "three", true, 1000, true],
  events: ["event 0", "event 1", "event 2"],
};

testEachEngine("a browser loads a page, fetches, and opens a WebSocket and an event stream", async () => {
  await using backend = serve();
  await using l7 = await L7.start((["h1", "h2c"] as const).map((kind) => ({
    hostname: `${kind}.test`,
    backend: backend.addr,
    ...backendKeys(kind),
  })));
  const { hostname, port } = l7.proxy.address();
  for (const host of ["h1.test", "h2c.test"]) {
    for (const [protocol, flags] of [["h2", []], ["http/1.1", ["--disable-http2"]]] as const) {
      backend.again();
      const profile = Deno.makeTempDirSync({ prefix: "mc-proxy-browser-" });
      const { stdout, stderr } = await runTool("chromium", [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
        ...["--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors"],
        ...[`--user-data-dir=${profile}`, `--host-resolver-rules=MAP *.test ${hostname}:${port}`, "--dump-dom"],
        ...flags,
        `https://${host}/`,
      ]);
      await Deno.remove(profile, { recursive: true });
      assert.deepEqual(backend.reports.splice(0), [{ protocol, ...EXPECTED }], `${host} ${protocol}: ${stderr}`);
      assert.match(stdout, /<h1>Served by mc-proxy<\/h1>/);
      await l7.proxy.event("request", { host, path: "/socket", protocol }); // in HTTP/2 by an extended CONNECT
    }
  }
}, ["chromium"]);
