/**
 * Makes the database of this version's schema that later versions must be able to open: `v1.db`, and what is in it as
 * `v1.json`.
 *
 * Run once, with the last commit that writes a schema version, and never again for that version:
 *
 *     deno run --allow-read --allow-write lib/control/store/testdata/make_fixture.ts
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { RouteConfig, StoredState } from "../../config_types.ts";
import { SCHEMA_VERSION } from "../migrations.ts";
import { Store } from "../store.ts";

const L4: RouteConfig = {
  hostname: "git.example.net",
  backend: "127.0.0.1:18443",
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
  l7Policies: [],
};

const L7: RouteConfig = {
  ...L4,
  hostname: "*.example.net",
  backend: "app.example.org:8080",
  mode: "l7",
  tlsCert: "/srv/mc-proxy/certs/example.pem",
  tlsKey: "/srv/mc-proxy/certs/example.key",
  l7Policies: [{ type: "require_header", value: "X-Api-Key" }, { type: "block_user_agent", value: "BadBot" }],
};

const STATE: StoredState = {
  listeners: [
    {
      addr: ":443",
      proxyProtocol: false,
      maxConnections: 10_000,
      routes: [
        L4,
        L7,
        {
          ...L7,
          hostname: "api.example.net",
          backend: "[2001:db8::1]:8443",
          sendProxyProtocol: true,
          backendTls: true,
          backendProtocol: "http1",
          backendCa: "/srv/mc-proxy/certs/ca.pem",
          backendServerName: "api.internal",
          backendPins: ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", `sha256/${"A".repeat(43)}=`],
          backendTimeoutMs: 1_500,
          backendMaxConnections: 65_535,
          allowTrace: true,
          l7Policies: [{ type: "block_user_agent", value: "curl/" }, {
            type: "block_user_agent_any_case",
            value: "wget",
          }],
        },
        {
          ...L7,
          hostname: "h2.example.net",
          backendTls: true,
          backendProtocol: "h2",
          backendServerName: "{host}",
          l7Policies: [],
        },
        { ...L4, hostname: "*", backend: "127.0.0.1:9", sendProxyProtocol: true },
      ],
    },
    { addr: "127.0.0.1:8443", proxyProtocol: true, maxConnections: 0, routes: [L4] },
    { addr: "[::1]:8443", proxyProtocol: false, maxConnections: 1, routes: [] },
  ],
  firewall: {
    blockedIps: ["192.0.2.7", "2001:db8::7"],
    blockedCidrs: ["198.51.100.0/24", "2001:db8:1::/48"],
    blockedCountries: ["NL", "DE"],
  },
};

const path = fileURLToPath(new URL(`v${SCHEMA_VERSION}`, import.meta.url));
Deno.writeTextFileSync(`${path}.json`, `${JSON.stringify(STATE, null, 2)}\n`, { createNew: true });
const store = Store.open(`${path}.db`);
store.prepare(STATE);
store.commit();
store.close();
