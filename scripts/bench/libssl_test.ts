import assert from "node:assert/strict";
import { createAuthority } from "../dev/certificates.ts";
import { HTTP_HOST } from "./http_protocol.ts";
import { accept, close, connect, listen, WOULD_BLOCK } from "./libc.ts";
import { isFile } from "./proxies.ts";
import { TLS_EXPECTED } from "./tls_settings.ts";

const HAS_LIBSSL = await isFile("/usr/lib/x86_64-linux-gnu/libssl.so.3") ||
  await isFile("/usr/lib/aarch64-linux-gnu/libssl.so.3");
const NAME = HAS_LIBSSL ? "" : " (needs Debian's libssl3)";
const IGNORE = Deno.build.os !== "linux" || !HAS_LIBSSL;

/** A client and a server of TLS, with a connection between them; the server speaks HTTP/2. */
async function withPair(
  protocol: string,
  test: (pair: {
    client: import("./libssl.ts").TlsConnection;
    server: import("./http_peers.ts").Socket;
  }) => void,
): Promise<void> {
  const { TlsContext } = await import("./libssl.ts");
  const { TlsServerContext } = await import("./libssl_server.ts");
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const listener = listen();
  const fd = connect(listener.port);
  try {
    const { cert, key } = await (await createAuthority("a test")).issue({ hostnames: [HTTP_HOST] });
    await Deno.writeTextFile(`${folder}/cert.pem`, cert);
    await Deno.writeTextFile(`${folder}/key.pem`, key);
    const server = new TlsServerContext(`${folder}/cert.pem`, `${folder}/key.pem`, "h2").accept(accept(listener.fd));
    const client = new TlsContext(HTTP_HOST, protocol).connect(fd);
    test({ client, server });
    client.free();
    server.close();
  } finally {
    close(fd);
    close(listener.fd);
    await Deno.remove(folder, { recursive: true });
  }
}

const BUFFER = new Uint8Array(64 * 1024);

Deno.test({
  name: "client and backend agree on the one version, group and cipher, and resume nothing" + NAME,
  ignore: IGNORE,
  fn: () =>
    withPair("h2", ({ client, server }) => {
      assert.equal(client.handshake(), false);
      assert.equal(server.read(BUFFER), WOULD_BLOCK);
      assert.equal(client.handshake(), true);
      assert.equal(client.describe(), TLS_EXPECTED);
    }),
});

Deno.test({
  name: "what a backend sends goes out a record at a time, and arrives" + NAME,
  ignore: IGNORE,
  fn: () =>
    withPair("h2", ({ client, server }) => {
      client.handshake();
      server.read(BUFFER);
      client.handshake();
      client.write(Uint8Array.of(1, 2, 3));
      assert.equal(server.read(BUFFER), 3);
      assert.deepEqual([...BUFFER.subarray(0, 3)], [1, 2, 3]);
      const answer = Uint8Array.from({ length: 20_000 }, (_, i) => i % 251);
      const sent = server.send(answer);
      assert.equal(sent, 16_384, "the rest is to be sent again");
      assert.equal(server.send(answer.subarray(sent)), answer.length - sent);
      const first = client.read(BUFFER);
      const second = client.read(BUFFER.subarray(first));
      assert.deepEqual(BUFFER.subarray(0, first + second), answer);
    }),
});

Deno.test({
  name: "a backend refuses a client that does not speak what it does" + NAME,
  ignore: IGNORE,
  fn: () =>
    withPair("http/1.1", ({ client, server }) => {
      client.handshake();
      assert.ok(server.read(BUFFER) < WOULD_BLOCK, "it is to be closed");
      assert.throws(() => client.handshake(), /the TLS handshake failed/);
    }),
});
