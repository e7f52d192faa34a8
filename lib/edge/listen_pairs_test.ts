import assert from "node:assert/strict";
import { ListenError } from "./engine.ts";
import { bindListener } from "./linux/bind.ts";
import { Libc } from "./linux/libc.ts";
import { type Binding, listen, takeSamePort } from "./listen.ts";

/** Hosts as the configuration spells them; `localhost` stands for one of the loopback addresses. */
const HOSTS = ["::", "0.0.0.0", "127.0.0.1", "127.0.0.2", "::1", "localhost"];

/** Binds as an engine does; what is returned gives the address back. */
type Bind = (where: Binding) => () => void;

const ENGINES: Readonly<Record<string, Bind>> = {
  portable: ({ hostname, port }) => {
    const listener = listen(`${hostname} ${port}`, hostname, port);
    return () => listener.close();
  },
  ...Deno.build.os === "linux" && {
    epoll: ({ hostname, port }) => {
      const libc = new Libc();
      const listener = {
        addr: `${hostname} ${port}`,
        hostname,
        port,
        proxyProtocol: false,
        maxConnections: 0,
        routes: [],
      };
      const { fds } = bindListener(libc, listener, 2);
      return () => fds.forEach((fd) => libc.close(fd));
    },
  },
};

/** A port that nobody has on any address, at this moment. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "::", port: 0 });
  return listener.addr.port;
}

/** Whether the second can be bound while the first is. */
function canBoth(bind: Bind, first: Binding, second: Binding): boolean {
  const free = bind(first);
  try {
    bind(second)();
    return true;
  } catch (error) {
    assert.ok(error instanceof ListenError && error.message.includes("in use"), String(error));
    return false;
  } finally {
    free();
  }
}

for (const [engine, bind] of Object.entries(ENGINES)) {
  Deno.test(`two addresses take the same port exactly where the system lets only one be bound (${engine})`, () => {
    for (const a of HOSTS) {
      for (const b of HOSTS) {
        const port = freePort();
        const [first, second] = [{ hostname: a, port }, { hostname: b, port }];
        assert.equal(takeSamePort(first, second), !canBoth(bind, first, second), `${a} and ${b}`);
      }
    }
  });
}

Deno.test("addresses of different ports, or of ports that the system chooses, are never the same", () => {
  for (const a of HOSTS) {
    for (const b of HOSTS) {
      assert.equal(takeSamePort({ hostname: a, port: 8443 }, { hostname: b, port: 8444 }), false);
      assert.equal(takeSamePort({ hostname: a, port: 0 }, { hostname: b, port: 0 }), false);
    }
  }
});

Deno.test("a name that has no address here is the same as itself and every address alone", () => {
  const nowhere = { hostname: "nowhere.invalid", port: 8443 };
  assert.equal(takeSamePort(nowhere, nowhere), true);
  assert.equal(takeSamePort(nowhere, { hostname: "::", port: 8443 }), true);
  assert.equal(takeSamePort(nowhere, { hostname: "127.0.0.1", port: 8443 }), false);
});
