/** How TLS connections of an L7 route end where something has gone wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Gate } from "./harness/gate.ts";
import { HttpBackend, L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { octets, RawClient } from "./harness/raw_http.ts";

/** A record that no key has protected. */
const FORGED = new Uint8Array([23, 3, 3, 0, 64, ...new Uint8Array(64).fill(7)]);
/** No record at all. */
const GARBAGE = octets("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");

/** A client whose connection passes a gate. */
async function behindGate(l7: L7): Promise<{ gate: Gate; client: RawClient }> {
  const gate = await Gate.open(l7.proxy.address());
  return { gate, client: await RawClient.open({ proxy: { address: () => gate.address }, authority: l7.authority }) };
}

for (const [what, bytes] of [["a forged record", FORGED], ["garbage in place of a record", GARBAGE]] as const) {
  testEachEngine(`${what} ends a connection, and no byte of an answer follows it (RFC 8446 §6.2)`, async (engine) => {
    const answer = Promise.withResolvers<() => void>();
    await using backend = await HttpBackend.start("h1", (_, response) => {
      const abandoned = once(response, "close");
      answer.resolve(() => void response.end("an answer"));
      return abandoned.then(() => {});
    });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1" }], {
      proxy: { engine, idle_timeout: "5m" },
    });
    const { gate, client } = await behindGate(l7);
    await client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    const send = await answer.promise;
    await gate.upstream.write(bytes);
    assert.equal(await client.readToEnd(), "");
    send();
    const { end, detail } = await l7.proxy.end(gate.upstream);
    assert.equal(end, "client_reset");
    assert.ok(typeof detail === "string" && detail !== "", "what the library says");
    client[Symbol.dispose]();
    await gate.close();
  });
}

testEachEngine("an answer that ends with its connection does not look whole where it was cut", async (engine) => {
  const server = createServer();
  const sockets: Socket[] = [];
  server.on("connection", (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await using l7 = await L7.start([{ hostname: "a.test", backend: `127.0.0.1:${port}`, backend_protocol: "http1" }]);
  const { gate, client } = await behindGate(l7);
  await client.send("GET / HTTP/1.0\r\nhost: a.test\r\n\r\n"); // whose answer has no other end
  const heard = await client.readUntil("half");
  assert.match(heard, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(heard, /content-length|transfer-encoding/i);
  for (const socket of sockets) socket.destroy();
  await assert.rejects(async () => {
    while (await client.conn.read(new Uint8Array(1_024)) !== null);
  }, "without close_notify, the client is told that something is missing");
  await l7.proxy.end(gate.upstream);
  if (engine === "epoll") assert.equal(gate.ended, "reset");
  client[Symbol.dispose]();
  await gate.close();
  server.close();
});
