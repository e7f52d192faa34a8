import assert from "node:assert/strict";
import { resolve } from "node:path";
import { newRoute } from "./routes.ts";

Deno.test("the files of a route are taken from the working directory", () => {
  const flags = { mode: "l7", tlsCert: "www.pem", tlsKey: "/etc/www.key", backendCa: "ca/ca.pem" } as const;
  const { tlsCert, tlsKey, backendCa } = newRoute("www.example.net", "127.0.0.1:1", flags);
  assert.deepEqual([tlsCert, tlsKey, backendCa], [resolve("www.pem"), "/etc/www.key", resolve("ca/ca.pem")]);
});

Deno.test("what is not given is left at its default", () => {
  assert.deepEqual(newRoute("git.example.net", "127.0.0.1:1", {}), {
    hostname: "git.example.net",
    backend: "127.0.0.1:1",
    mode: "l4",
    sendProxyProtocol: false,
    tlsCert: "",
    tlsKey: "",
    backendTls: false,
    backendProtocol: "",
    backendCa: "",
    backendServerName: "",
    backendPins: [],
    backendTimeoutMs: 60_000,
    backendMaxConnections: 1_024,
    allowTrace: false,
  });
});
