import assert from "node:assert/strict";
import fc from "fast-check";
import { formatIpAddress } from "../../wire/ip_address.ts";
import { AF_INET, AF_INET6, EAGAIN, ECONNREFUSED, EINPROGRESS, errorName, Libc, LibcError } from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, encodeUnixSockaddr, familyOf, SOCKADDR_LENGTH } from "./sockaddr.ts";

const EBADF = 9;

function linuxTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });
}

linuxTest("a call that fails gives its own error, call after call", () => {
  const libc = new Libc();
  const buffer = new Uint8Array(10);
  assert.equal(libc.recv(-1, buffer, 10), -EBADF);
  assert.equal(libc.close(-1), -EBADF);
  const fd = libc.socket(AF_INET);
  assert.ok(fd >= 0);
  assert.equal(errorName(-libc.recv(fd, buffer, 10)), "ENOTCONN");
  assert.equal(libc.socketError(fd), 0);
  assert.equal(libc.close(fd), 0);
  assert.equal(errorName(12345), "errno 12345");
});

linuxTest("connects, peeks, receives, sends and half-closes without ever blocking", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const libc = new Libc();
  const fd = libc.socket(AF_INET);
  const port = listener.addr.port;
  const address = decodeSockaddr(encodeSockaddr({ address: mapped(127, 0, 0, 1), port }));
  assert.equal(libc.connect(fd, encodeSockaddr(address)), -EINPROGRESS);
  using peer = await listener.accept();
  const buffer = new Uint8Array(10);
  assert.equal(libc.recv(fd, buffer, 10), -EAGAIN);

  assert.equal(libc.sendMore(fd, Uint8Array.of(1, 2), 2), 2);
  assert.equal(libc.send(fd, Uint8Array.of(3, 9), 1), 1);
  const received = new Uint8Array(10);
  assert.equal(await peer.read(received), 3, "one segment for both");
  assert.deepEqual(received.subarray(0, 3), Uint8Array.of(1, 2, 3));

  await peer.write(Uint8Array.of(7));
  assert.equal(libc.peek(fd, buffer, 10), 1);
  assert.equal(libc.recv(fd, buffer, 10), 1);
  assert.equal(buffer[0], 7);
  assert.equal(libc.shutdown(fd), 0);
  assert.equal(await peer.read(received), null);
  libc.close(fd);
});

linuxTest("a refused connection leaves its error, and a reset is a reset", async () => {
  const libc = new Libc();
  const refused = libc.socket(AF_INET);
  libc.connect(refused, encodeSockaddr({ address: mapped(127, 0, 0, 1), port: 1 }));
  assert.equal(libc.socketError(refused), ECONNREFUSED);
  libc.close(refused);

  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const fd = libc.socket(AF_INET);
  libc.connect(fd, encodeSockaddr({ address: mapped(127, 0, 0, 1), port: listener.addr.port }));
  using peer = await listener.accept();
  libc.reset(fd);
  await assert.rejects(peer.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

linuxTest("the clock never goes back", () => {
  const libc = new Libc();
  const first = libc.now();
  const second = libc.now();
  assert.ok(first > 0 && second >= first && second - first < 60_000);
});

Deno.test({
  name: "where FFI is not permitted, it says so",
  permissions: { ffi: false },
  fn: () => assert.throws(() => new Libc(), LibcError),
});

Deno.test("socket addresses are read as they were written, each family in its own form", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map(([a = 0, b = 0, c = 0, d = 0]) => mapped(a, b, c, d)),
  );
  fc.assert(fc.property(address, fc.nat(65535), (address, port) => {
    const sockaddr = encodeSockaddr({ address, port });
    assert.equal(familyOf(sockaddr), formatIpAddress(address).includes(":") ? AF_INET6 : AF_INET);
    const padded = new Uint8Array(SOCKADDR_LENGTH);
    padded.set(sockaddr);
    assert.deepEqual(decodeSockaddr(padded), { address, port });
  }));
});

function mapped(...octets: [number, number, number, number]): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...octets);
}

linuxTest("a datagram to a Unix socket that is not there says so, by path and by abstract name", () => {
  const libc = new Libc();
  const send = (path: string) => {
    const sockaddr = encodeUnixSockaddr(path);
    assert.ok(sockaddr !== undefined);
    return errorName(-libc.sendDatagram(sockaddr, Uint8Array.of(1)));
  };
  assert.equal(send("/none/notify"), "ENOENT");
  assert.equal(send("@mc-proxy/none"), "ECONNREFUSED"); // what the kernel says of an abstract name that nobody has
});

linuxTest("the address of a Unix socket is its path, or an abstract name", () => {
  assert.deepEqual(encodeUnixSockaddr("/a"), Uint8Array.of(1, 0, 0x2f, 0x61));
  assert.deepEqual(encodeUnixSockaddr("@a"), Uint8Array.of(1, 0, 0, 0x61));
  assert.equal(encodeUnixSockaddr("/".repeat(108))?.length, 110);
  assert.equal(encodeUnixSockaddr("/".repeat(109)), undefined);
  assert.equal(encodeUnixSockaddr(""), undefined);
});

linuxTest("traffic leaves some descriptors to the rest of the program", async () => {
  const test = `
    import { AF_INET, EMFILE, Libc } from ${JSON.stringify(new URL("./libc.ts", import.meta.url).href)};
    const [traffic, rest] = [new Libc({ spares: true }), new Libc()];
    const fill = (socket) => {
      let count = 0;
      for (let fd = socket(); fd >= 0; fd = socket()) count++;
      return [count, socket() === -EMFILE];
    };
    const [used, full] = fill(() => traffic.socket(AF_INET));
    const had = traffic.hasDescriptor();
    console.log(JSON.stringify([used > 0, full, had, fill(() => rest.socket(AF_INET)), traffic.hasDescriptor()]));
  `;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, test);
  const command = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 160 && exec "$0" run --no-check -A "$1"', Deno.execPath(), file],
  });
  const { stdout, stderr } = await command.output();
  Deno.removeSync(file);
  assert.equal(
    new TextDecoder().decode(stdout).trim(),
    "[true,true,false,[20,true],false]",
    new TextDecoder().decode(stderr),
  );
});
