import assert from "node:assert/strict";
import { DescriptorError, DescriptorSocket, sendDescriptors } from "./descriptors.ts";
import { Libc } from "./libc.ts";

function linuxTest(name: string, fn: (folder: string) => void): void {
  Deno.test({
    name,
    ignore: Deno.build.os !== "linux",
    fn() {
      const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
      try {
        fn(folder);
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    },
  });
}

/** What stands behind a descriptor of this process: `socket:[123]`. */
function target(fd: number): string {
  return Deno.readLinkSync(`/proc/self/fd/${fd}`);
}

/** How many descriptors lead to what `target` has named; other threads of this process have descriptors of their own. */
function descriptorsOf(named: string): number {
  return Array.from(Deno.readDirSync("/proc/self/fd")).filter(({ name }) => {
    try {
      return target(Number(name)) === named;
    } catch {
      return false; // it was closed meanwhile
    }
  }).length;
}

linuxTest("descriptors arrive in order, more than one message of them, and lead to the same files", (folder) => {
  const libc = new Libc();
  using socket = new DescriptorSocket(`${folder}/d`);
  const sent = Array.from({ length: 300 }, () => libc.eventfd());
  sendDescriptors(libc, socket.path, sent);
  const received = socket.take(300);
  assert.equal(new Set([...sent, ...received]).size, 600, "each is a descriptor of its own");
  for (const [i, fd] of sent.entries()) {
    for (let wake = 0; wake <= i; wake++) libc.wake(fd);
    libc.close(fd);
  }
  assert.deepEqual(received.map((fd) => libc.takeWakes(fd)), received.map((_, i) => i + 1));
  for (const fd of received) libc.close(fd);
});

linuxTest("who expects another number is told so, and keeps none", (folder) => {
  const libc = new Libc();
  using socket = new DescriptorSocket(`${folder}/d`);
  const fd = libc.datagramSocket();
  const own = target(fd);
  sendDescriptors(libc, socket.path, [fd, fd, fd]);
  assert.throws(() => socket.take(2), new DescriptorError("3 descriptors in place of 2"));
  assert.throws(() => socket.take(1), new DescriptorError("recvmsg: EAGAIN"));
  assert.equal(descriptorsOf(own), 1);
  libc.close(fd);
});

linuxTest("what keeps descriptors from being passed is an error that names it", (folder) => {
  const libc = new Libc();
  assert.throws(
    () => sendDescriptors(libc, `${folder}/none`, [0]),
    new DescriptorError(`sendmsg ${folder}/none: ENOENT`),
  );
  assert.throws(() => new DescriptorSocket(`${folder}/no/d`), DescriptorError);
  assert.throws(() => new DescriptorSocket(`/${"x".repeat(107)}`), /107 octets at most/);
  using socket = new DescriptorSocket(`${folder}/d`);
  assert.throws(() => sendDescriptors(libc, socket.path, [12_345]), /sendmsg .*: EBADF/);
});
