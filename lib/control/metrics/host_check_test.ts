import assert from "node:assert/strict";
import { HostCheck } from "./host_check.ts";

Deno.test("IP addresses, localhost, the host of the address and configured names are taken, with any port", () => {
  const check = new HostCheck("edge.example:9090", ["proxy.example.net"]);
  for (
    const host of [
      "127.0.0.1:9090",
      "192.0.2.7",
      "[::1]:9090",
      "[2001:DB8::1]",
      "localhost:9090",
      "LOCALHOST",
      "localhost.",
      "edge.example:1",
      "proxy.example.net:443",
      "Proxy.Example.net.",
      "proxy.example.net:",
    ]
  ) assert.ok(check.takes(host), host);
});

Deno.test("no other name is taken, nor what is none", () => {
  for (const check of [new HostCheck(":9090", []), new HostCheck("127.0.0.1:9090", ["proxy.example.net"])]) {
    for (
      const host of [
        undefined,
        "",
        ":9090",
        "rebinding.example",
        "rebinding.example:9090",
        "x.localhost",
        "localhost.rebinding.example",
        "127.0.0.1.rebinding.example",
        "x.proxy.example.net",
        "proxy.example.net@rebinding.example",
        "127.0.0.1, rebinding.example",
        "[::bad",
        "127.1",
        "0x7f000001",
      ]
    ) assert.ok(!check.takes(host), String(host));
  }
});
