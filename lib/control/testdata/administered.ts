/**
 * An {@linkcode Administration} on a real database, with a stand-in for what serves.
 *
 * @module
 */

import { type EdgeChange, LivingSnapshot } from "../../edge/change.ts";
import { RouteCounters } from "../../edge/route_counters.ts";
import { RUNTIME_TLS } from "../../edge/portable/tls_library.ts";
import type { EdgeSnapshot } from "../../edge/snapshot.ts";
import { type Endpoint, parseEndpoint } from "../../wire/socket_address.ts";
import { Administration, type Served } from "../administration.ts";
import { parseConfig } from "../config.ts";
import type { StoredState } from "../config_types.ts";
import { GeoipFile } from "../geoip_file.ts";
import { Log } from "../log.ts";
import { RouteCounts } from "../route_counts.ts";
import { Store } from "../store/store.ts";
import { CertificateFiles } from "../certificate_files.ts";
import { makeSnapshot } from "../supervisor.ts";

/** Serves nothing: it remembers what it was told. */
export class FakeServed implements Served {
  /** What its workers would go by. */
  readonly living: LivingSnapshot;
  /** How many routes name each backend. */
  readonly users = new Map<string, number>();
  /** The changes of each call. */
  readonly applied: (readonly EdgeChange[])[] = [];
  /** What becomes of a call: workers are told of its changes whatever it is. */
  confirm: (changes: readonly EdgeChange[]) => Promise<void> = () => Promise.resolve();
  /** Looks a backend's name up. */
  lookUp: (backend: string) => Promise<void> = () => Promise.resolve();
  /** Why a new listener could not be bound. */
  listenProblem: (addr: string) => string | undefined = () => undefined;
  readonly routeCounts: RouteCounts;
  readonly #addrs: readonly string[];

  constructor(snapshot: EdgeSnapshot, routeCounts: RouteCounts) {
    this.routeCounts = routeCounts;
    this.living = new LivingSnapshot(snapshot);
    this.#addrs = snapshot.listeners.map(({ addr }) => addr);
    for (const { routes } of snapshot.listeners) for (const { backend } of routes) this.#use(backend);
  }

  readonly tls = RUNTIME_TLS;

  get status(): Served["status"] {
    const counts = { accepted: 0, active: 0, bytesIn: 0, bytesOut: 0, rejected: {} };
    const listeners = this.#addrs.map((addr) => ({ addr, boundAddr: addr, problem: undefined, counts }));
    return { engine: "portable", workers: 1, workerFailures: 0, listeners };
  }

  listenerIndex(addr: string): number {
    return this.#addrs.indexOf(addr);
  }

  apply(changes: readonly EdgeChange[]): Promise<void> {
    this.applied.push(changes);
    for (const change of changes) this.living.apply(change);
    return this.confirm(changes);
  }

  async useBackends(backends: readonly string[]): Promise<ReadonlyMap<string, readonly Endpoint[]>> {
    for (const backend of backends) this.#use(backend);
    await Promise.all(backends.map((backend) => this.lookUp(backend)));
    return new Map(backends.map((backend) => {
      const endpoint = parseEndpoint(backend);
      return [backend, endpoint === undefined ? [] : [endpoint]];
    }));
  }

  releaseBackends(backends: readonly string[]): void {
    for (const backend of backends) {
      const left = (this.users.get(backend) ?? 0) - 1;
      if (left > 0) this.users.set(backend, left);
      else {
        this.users.delete(backend);
        this.living.apply({ kind: "remove_backend", name: backend });
      }
    }
  }

  #use(backend: string): void {
    this.users.set(backend, (this.users.get(backend) ?? 0) + 1);
  }
}

/** Takes what is logged of certificates, which these states name and do not have. */
const NOWHERE = { write: (bytes: Uint8Array) => Promise.resolve(bytes.length) };

/** See {@linkcode administer}. */
export interface Administered extends Disposable {
  readonly administration: Administration;
  readonly served: FakeServed;
  readonly store: Store;
  /** The path of the GeoIP file. */
  readonly geoipPath: string;
  /** The log so far, without times: `info change what=…`. */
  lines(): Promise<string[]>;
  /** What a server finds that starts on the database now. */
  stored(): StoredState;
}

/**
 * Makes one.
 *
 * @param state What the database holds.
 * @param geoip The bytes of a GeoIP file, where one is configured.
 * @param wrap Puts something in front of the store.
 */
export function administer(
  state: StoredState,
  { geoip, wrap = (store) => store }: { geoip?: Uint8Array; wrap?: (store: Store) => Store } = {},
): Administered {
  const folder = Deno.makeTempDirSync();
  const store = Store.open(`${folder}/x.db`);
  store.prepare(state);
  store.commit();
  const { config } = parseConfig(`database.path = "x.db"`, { file: `${folder}/x.toml` });
  const geoipPath = `${folder}/geo.mmdb`;
  if (geoip !== undefined) Deno.writeFileSync(geoipPath, geoip);
  const addresses = (backend: string) => [parseEndpoint(backend)].filter((endpoint) => endpoint !== undefined);
  const routes = state.listeners.flatMap(({ routes }) => routes);
  const certificates = new CertificateFiles({
    log: new Log("error", "text", NOWHERE),
    events: { changed: () => {} },
    trial: () => undefined,
  });
  for (const { addr, routes } of state.listeners) for (const route of routes) certificates.add(route, addr);
  const routeCounts = new RouteCounts(new RouteCounters(1), config.proxy.connectTimeoutMs);
  for (const route of routes) routeCounts.add(route);
  const served = new FakeServed(
    makeSnapshot(
      config,
      state,
      { geoip, certificates },
      new Map(routes.map(({ backend }) => [backend, addresses(backend)])),
      (route) => routeCounts.rows(route),
    ),
    routeCounts,
  );
  let text = "";
  const log = new Log("debug", "text", {
    write(bytes) {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  });
  const administration = new Administration({
    config,
    state,
    store: wrap(store),
    served,
    geoip: geoip === undefined ? undefined : GeoipFile.open(geoipPath).file,
    certificates,
    log,
  });
  return {
    administration,
    served,
    store,
    geoipPath,
    async lines() {
      await log.flush();
      return text.split("\n").slice(0, -1).map((line) => line.slice(line.indexOf(" ") + 1));
    },
    stored() {
      const other = Store.open(store.path);
      try {
        return other.prepare({ listeners: [], firewall: state.firewall }).state;
      } finally {
        other.discard();
      }
    },
    [Symbol.dispose]() {
      store.close();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}
