/**
 * Backend host names, resolved and kept fresh, so that the data plane dials addresses only.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { parseIpAddress } from "../wire/ip_address.ts";
import { type Endpoint, parseEndpoint, parseHostPort } from "../wire/socket_address.ts";

/** How old a name's addresses may grow. */
const REFRESH_MS = 30_000;
/** How soon a name is looked up again when dials fail, at the earliest. */
const RETRY_MS = 1_000;

/** Finds the addresses of a host name, in the order in which to try them; throws where it has none. */
export type LookUp = (host: string) => Promise<readonly string[]>;

/** As every program of this machine does: /etc/hosts, then DNS, as nsswitch.conf(5) says. */
async function systemLookUp(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}

/** What the resolver reports. */
export interface ResolverEvents {
  /** The addresses of a backend are new, or not what they were. */
  resolved(backend: string, addresses: readonly Endpoint[]): void;
  /** A look-up failed; the addresses known so far, if any, stay in use. Said once until it works again. */
  failed(backend: string, error: unknown): void;
}

interface Name {
  readonly host: string;
  readonly port: number;
  /** Of the last look-up, in ms of `performance.now()`. */
  lookedUpAt: number;
  /** The look-up under way. */
  running: Promise<void> | undefined;
  failing: boolean;
}

/** The names of one program's backends. */
export class Resolver {
  readonly #names = new Map<string, Name>();
  readonly #addresses = new Map<string, readonly Endpoint[]>();
  /** How many routes name each backend. */
  readonly #users = new Map<string, number>();
  readonly #events: ResolverEvents;
  readonly #lookUp: LookUp;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param backends `host:port`; one that stands there twice has two users. */
  constructor(backends: Iterable<string>, events: ResolverEvents, lookUp: LookUp = systemLookUp) {
    this.#events = events;
    this.#lookUp = lookUp;
    for (const backend of backends) this.#use(backend);
  }

  /** The addresses of each backend as far as they are known now; none yet for a host name before `start`. */
  get addresses(): ReadonlyMap<string, readonly Endpoint[]> {
    return this.#addresses;
  }

  /** Looks up every host name, and again and again until `close`; resolves once each has been tried. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#refreshAll(), REFRESH_MS);
    await this.#refreshAll();
  }

  /** Adds a user of a backend, and looks it up where no address is known; resolves once that was tried. */
  async add(backend: string): Promise<void> {
    this.#use(backend);
    if (this.#addresses.get(backend)?.length === 0) await this.#refresh(backend);
  }

  /** Takes a user of a backend away; with the last one it is forgotten: returns whether it was. */
  remove(backend: string): boolean {
    const users = (this.#users.get(backend) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(backend, users);
      return false;
    }
    this.#names.delete(backend);
    this.#addresses.delete(backend);
    return this.#users.delete(backend);
  }

  /** A dial failed: looks the name up again, unless that was done within the last second. */
  dialFailed(backend: string): void {
    const name = this.#names.get(backend);
    if (name !== undefined && performance.now() - name.lookedUpAt >= RETRY_MS) void this.#refresh(backend);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #use(backend: string): void {
    const users = this.#users.get(backend) ?? 0;
    this.#users.set(backend, users + 1);
    if (users > 0) return;
    const endpoint = parseEndpoint(backend);
    this.#addresses.set(backend, endpoint ? [endpoint] : []);
    const named = endpoint ? undefined : parseHostPort(backend);
    if (named) this.#names.set(backend, { ...named, lookedUpAt: 0, running: undefined, failing: false });
  }

  async #refreshAll(): Promise<void> {
    await Promise.all(this.#names.keys().map((backend) => this.#refresh(backend)));
  }

  #refresh(backend: string): Promise<void> {
    const name = this.#names.get(backend);
    if (name === undefined) return Promise.resolve();
    return name.running ??= this.#lookUpOnce(backend, name).finally(() => name.running = undefined);
  }

  async #lookUpOnce(backend: string, name: Name): Promise<void> {
    name.lookedUpAt = performance.now();
    const wasRemoved = () => this.#names.get(backend) !== name;
    try {
      const addresses = toEndpoints(await this.#lookUp(name.host), name.port);
      if (wasRemoved()) return;
      this.#take(backend, addresses);
      name.failing = false;
    } catch (error) {
      if (wasRemoved()) return;
      if (!name.failing) this.#events.failed(backend, error);
      name.failing = true;
    }
  }

  #take(backend: string, addresses: readonly Endpoint[]): void {
    const before = this.#addresses.get(backend) ?? [];
    if (sameEndpoints(before, addresses)) return;
    this.#addresses.set(backend, addresses);
    this.#events.resolved(backend, addresses);
  }
}

function toEndpoints(addresses: readonly string[], port: number): Endpoint[] {
  const endpoints = addresses.map((text) => parseIpAddress(text)).filter((address) => address !== undefined)
    .map((address) => ({ address, port }));
  if (endpoints.length === 0) throw new Error("the name has no address");
  return endpoints;
}

function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a.length === b.length &&
    a.every(({ address }, i) => address.every((octet, j) => octet === b[i]?.address[j]));
}
