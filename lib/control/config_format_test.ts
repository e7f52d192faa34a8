import assert from "node:assert/strict";
import fc from "fast-check";
import { parseConfig } from "./config.ts";
import { formatConfig } from "./config_format.ts";
import type { Config, StoredState } from "./config_types.ts";
import { isSameState } from "./store/stored_state.ts";
import { settings, storedState } from "./testdata/random_state.ts";

/** A configuration whose listeners and rules are long out of date, as those of a running server may be. */
function running(given: Omit<Config, "listeners">): Config {
  return { ...given, listeners: [] };
}

/** What of a configuration the database does not hold. */
function settingsOf({ listeners: _, firewall, ...rest }: Config) {
  const { blockedIps: _ips, blockedCidrs: _cidrs, blockedCountries: _countries, ...others } = firewall;
  return { ...rest, firewall: others };
}

Deno.test("the file of a running server says all of it, and the file of one that was started with it is the same", () => {
  fc.assert(fc.property(settings, storedState, (given, state) => {
    const text = formatConfig(running(given), state);
    const { config } = parseConfig(text, { file: "/elsewhere/x.toml" });
    assert.ok(isSameState(config, state), text);
    assert.deepEqual(settingsOf(config), structuredClone(settingsOf(running(given))), text);
    assert.equal(formatConfig(config, config), text);
  }));
});

Deno.test("in whichever order things were added, the file is the same", () => {
  const shuffled = <T>(values: readonly T[]) => fc.shuffledSubarray([...values], { minLength: values.length });
  const twice = storedState.chain((state) =>
    fc.record({
      state: fc.constant(state),
      other: fc.record({
        listeners: fc.tuple(
          ...state.listeners.map(({ routes, ...rest }) => shuffled(routes).map((routes) => ({ ...rest, routes }))),
        ).chain(shuffled),
        firewall: fc.record({
          blockedIps: shuffled(state.firewall.blockedIps),
          blockedCidrs: shuffled(state.firewall.blockedCidrs),
          blockedCountries: shuffled(state.firewall.blockedCountries),
        }),
      }),
    })
  );
  const { config } = parseConfig(`database.path = "/x.db"`, { file: "/x.toml" });
  fc.assert(fc.property(twice, ({ state, other }: { readonly state: StoredState; readonly other: StoredState }) => {
    assert.equal(formatConfig(config, state), formatConfig(config, other));
  }));
});

Deno.test("what has its default is left out, and each address of a list has its own line", () => {
  const text = `
    [database]
    path = "/x.db"
    [[listeners]]
    addr = ":443"
    max_connections = 0
      [[listeners.routes]]
      hostname = "www.test"
      backend = "127.0.0.1:1"
      mode = "l7"
      tls_cert = "c.pem"
      tls_key = "c.key"
        [[listeners.routes.l7_policies]]
        type = "require_header"
        value = "X-Key"
      [[listeners.routes]]
      hostname = "git.test"
      backend = "127.0.0.1:2"
      mode = "l4"
    [firewall]
    blocked_ips = ["192.0.2.2", "192.0.2.1"]
    rate_window = "10s"
    [proxy]
    idle_timeout = "5m"
    hello_timeout = "1500ms"
  `;
  const { config } = parseConfig(text, { file: "/srv/x.toml" });
  const written = formatConfig(config, config).replaceAll(/^#.*\n/gm, "");
  assert.equal(
    written,
    `
[database]
path = "/x.db"

[[listeners]]
addr = ":443"

  [[listeners.routes]]
  hostname = "git.test"
  backend = "127.0.0.1:2"

  [[listeners.routes]]
  hostname = "www.test"
  backend = "127.0.0.1:1"
  mode = "l7"
  tls_cert = "/srv/c.pem"
  tls_key = "/srv/c.key"

    [[listeners.routes.l7_policies]]
    type = "require_header"
    value = "X-Key"

[firewall]
blocked_ips = [
  "192.0.2.1",
  "192.0.2.2",
]

[proxy]
hello_timeout = "1s500ms"
`,
  );
});
