import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { accept, listen, listenProblem } from "./listen.ts";

Deno.test("a client that is gone before it is accepted is passed over", async () => {
  using listener = listen("127.0.0.1:0", "127.0.0.1", 0);
  const { port } = listener.addr;
  for (let i = 0; i < 3; i++) {
    const gone = connect(port, "127.0.0.1");
    await once(gone, "connect");
    gone.resetAndDestroy();
    await once(gone, "close");
  }
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  using accepted = await accept(listener);
  assert.deepEqual(accepted.remoteAddr, client.localAddr);
});

Deno.test("accepting on a listener that was closed throws", async () => {
  const listener = listen("127.0.0.1:0", "127.0.0.1", 0);
  listener.close();
  await assert.rejects(accept(listener), Deno.errors.BadResource);
});

Deno.test("whether an address can be listened on is told, and the address given back", () => {
  const listener = listen("127.0.0.1:0", "127.0.0.1", 0);
  const { port } = listener.addr;
  assert.match(listenProblem(":x", "127.0.0.1", port) ?? "", /^cannot listen on :x: the address is in use; /);
  listener.close();
  for (let i = 0; i < 2; i++) assert.equal(listenProblem(":x", "127.0.0.1", port), undefined);
});
