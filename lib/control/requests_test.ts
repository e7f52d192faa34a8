import assert from "node:assert/strict";
import { createAuthority } from "../../scripts/dev/certificates.ts";
import { Refusal } from "./refusal.ts";
import { readRoute, type RouteInput } from "./requests.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** What a route is refused for, each violation as `field: description`. */
function refusalsOf(changes: Partial<RouteInput>): string[] {
  const route = {
    hostname: "a.example",
    backend: "192.0.2.1:443",
    mode: "l7",
    send_proxy_protocol: false,
    tls_cert: "",
    tls_key: "",
    backend_tls: true,
    backend_protocol: "",
    backend_ca: "",
    backend_server_name: "",
    backend_pins: [],
    backend_timeout: "1m",
    backend_max_connections: 1_024,
    allow_trace: false,
    l7_policies: [],
    ...changes,
  };
  try {
    readRoute(route, () => undefined);
    return [];
  } catch (error) {
    assert.ok(error instanceof Refusal && error.kind === "invalid");
    return error.violations.map(({ field, description }) => `${field}: ${description.replaceAll(folder, "DIR")}`);
  }
}

Deno.test("a route whose certificate, key or authority cannot serve is refused, each under its own field", async () => {
  const authority = await createAuthority("Test authority");
  const [a, b] = [await authority.issue({ hostnames: ["a.example"] }), await authority.issue({ hostnames: ["b"] })];
  await Deno.writeTextFile(`${folder}/a.pem`, a.cert);
  await Deno.writeTextFile(`${folder}/b.key`, b.key);
  const mixed = refusalsOf({ tls_cert: `${folder}/a.pem`, tls_key: `${folder}/b.key`, backend_ca: `${folder}/b.key` });
  for (
    const refusal of [
      "route.tls_key: DIR/b.key: is not the key of the certificate in DIR/a.pem",
      "route.backend_ca: DIR/b.key: holds no certificate, but a PRIVATE KEY",
    ]
  ) assert.ok(mixed.includes(refusal), mixed.join("\n"));
  const none = refusalsOf({ tls_cert: `${folder}/none.pem`, tls_key: folder });
  for (
    const refusal of [
      "route.tls_cert: DIR/none.pem: does not exist",
      "route.tls_key: DIR: is a folder, not a file",
    ]
  ) assert.ok(none.includes(refusal), none.join("\n"));
});
