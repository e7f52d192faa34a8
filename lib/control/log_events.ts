/**
 * Every event that there is in the log: what docs/LOG.md describes. An event that is not here cannot be logged.
 *
 * @module
 */

import { REJECT_REASONS, type RejectReason } from "../edge/counters.ts";
import type { LOG_LEVELS } from "./config_types.ts";

/** See {@linkcode LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** One field of an event. */
export interface FieldSpec {
  /** Whole numbers are exact to 2^53. */
  readonly type: "text" | "integer" | "number";
  /** Whether a line may lack it. */
  readonly optional: boolean;
  /** What it is, with its unit. */
  readonly about: string;
}

/** One event. */
export interface EventSpec {
  readonly level: LogLevel;
  /** Whether it is written whatever the level of the log is. */
  readonly always?: true;
  /** What its lines say in `message`, for people; left out of what comes often and tells all in its fields. */
  readonly message?: string;
  /** What it means, for docs/LOG.md. */
  readonly meaning: string;
  /** What to do about it: of every warning and error. */
  readonly remedy?: string;
  readonly fields: Readonly<Record<string, FieldSpec>>;
}

type Type = FieldSpec["type"];

function field<const T extends Type>(type: T, about: string) {
  return { type, about, optional: false } as const;
}

function optional<const T extends Type>(type: T, about: string) {
  return { type, about, optional: true } as const;
}

const listener = field("text", "the listener's `addr` as configured");
const service = field("text", "`admin` or `metrics`");
const client = field("text", "`address:port` of the client, or of whom the PROXY header names");
const backend = optional("text", "`host:port` of the route's backend");
const error = field("text", "what went wrong");
const path = field("text", "the file");
const hostnames = field("text", "the host names of its routes: the first few, and how many more");
const stack = field("text", "what was thrown and where");
const bytesIn = field("integer", "bytes from the client to the backend");
const bytesOut = field("integer", "bytes from the backend to the client");
const durationMs = field("integer", "how long it took, in milliseconds");
const refused = optional("integer", "how often this was the `end` of a connection, where it was at all");

const REJECTED = Object.fromEntries(REJECT_REASONS.map((reason) => [`rejected_${reason}`, refused])) as Readonly<
  Record<`rejected_${RejectReason}`, typeof refused>
>;

/** By name. A name and its fields are kept from version to version: programs go by them. */
export const LOG_EVENTS = {
  // ---- Traffic -------------------------------------------------------------------------------------------------------
  connection: {
    level: "info",
    meaning: "A connection is over.",
    fields: {
      listener,
      client,
      sni: optional("text", "the host name that the client asked for; left out where it named none, or none was read"),
      route: optional("text", "the host name pattern of the route that served it"),
      backend,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      duration_ms: durationMs,
      end: field("text", "how it ended: [README](../README.md#how-a-connection-ends)"),
      detail: optional(
        "text",
        "which rule the client broke, or what the system said; where the client refused the certificate, its TLS " +
          "alert and the likely cause",
      ),
      protocol: optional("text", "L7: `h2` or `http/1.1`"),
      requests: optional("integer", "L7: how many requests it brought"),
    },
  },
  request: {
    level: "info",
    meaning:
      "A request of an L7 route is over: the access log, with `[log] access = true`. Its fields are explained in [HTTP.md](HTTP.md#the-access-log).",
    fields: {
      listener,
      client,
      route: field("text", "the host name pattern of the route"),
      request_id: field("text", "the id that the backend got"),
      protocol: field("text", "`h2` or `http/1.1`"),
      method: field("text", "`-` where the request could not be read, and so for host and path"),
      host: field("text", "what the client asked for"),
      path: field("text", "its first 1,024 characters, without the query"),
      status: field(
        "integer",
        "what the client was answered; 499 where it left before, and 503 where a shutdown cut it off",
      ),
      grpc_status: optional("integer", "the outcome of a gRPC call"),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      duration_ms: durationMs,
      backend_ms: optional("integer", "until the head of the backend's answer, in milliseconds"),
      user_agent: optional("text", "its first 256 characters"),
      error: optional("text", "what went wrong"),
    },
  },
  lines_suppressed: {
    level: "info",
    message: "more of the same, not written one by one",
    meaning:
      "So many lines that differ in little but the client were counted instead of written: see [floods](#floods).",
    fields: {
      of: field("text", "the event of those lines: `connection` or `request`"),
      listener,
      reason: field("text", "their `end`; of requests `malformed`"),
      route: optional("text", "the host name pattern of their route"),
      backend,
      status: optional("integer", "of requests: what the clients were answered"),
      lines: field("integer", "how many were not written"),
      clients: field("text", "some of their clients, the first one first, with a space between"),
      first: field("text", "when the first was due, as in `time`"),
      last: field("text", "when the last was"),
    },
  },
  accept_failed: {
    level: "error",
    message: "the system refuses to accept connections",
    meaning: "The system refuses to accept connections, or none but the descriptors are left that traffic leaves to " +
      "the rest of the program; said once until it accepts again. New clients wait meanwhile.",
    remedy: "`EMFILE`, `ENFILE`: raise `LimitNOFILE=` of the service, or limit the listeners by `max_connections`.",
    fields: { listener, reason: field("text", "what the system said") },
  },
  accept_recovered: {
    level: "info",
    message: "accepts connections again",
    meaning: "It accepts again, and has done so for a second.",
    fields: { listener },
  },
  unhealthy: {
    level: "warn",
    message: "the server does not serve as it should",
    meaning: "What `/readyz` and `ctl health` tell as well; said when something begins to be wrong, or something else.",
    remedy: "By its reasons: `database:` make room on its disk, or have it writable again; `listener …:` and " +
      "`… endpoint:` see `accept_failed`; `worker threads:` see `worker_failed`.",
    fields: { reasons: field("text", "each one, separated by semicolons") },
  },
  healthy: {
    level: "info",
    message: "the server serves as it should",
    meaning: "Nothing is wrong any more.",
    fields: {},
  },
  service_accept_failed: {
    level: "error",
    message: "the system refuses to accept connections of administrators or scrapers",
    meaning: "The system refuses to accept connections to the admin API or the metrics endpoint, which keep some " +
      "descriptors in reserve; said once until it accepts again. Clients wait meanwhile.",
    remedy: "`EMFILE`, `ENFILE`: raise `LimitNOFILE=` of the service, or limit the listeners by `max_connections`.",
    fields: { service, reason: field("text", "what the system said") },
  },
  service_accept_recovered: {
    level: "info",
    message: "accepts connections again",
    meaning: "The admin API or the metrics endpoint accepts connections again.",
    fields: { service },
  },
  resolve_failed: {
    level: "warn",
    message: "the addresses known before stay in use",
    meaning: "The name of a backend could not be looked up; said once until it can. Where it never could be, its " +
      "connections end as `backend_unresolved`.",
    remedy: "Look the name up on this host (`getent hosts NAME`): it is misspelt, or the name server does not answer.",
    fields: { backend: field("text", "`host:port` of the backend"), error },
  },

  // ---- Changes -------------------------------------------------------------------------------------------------------
  change: {
    level: "info",
    always: true,
    meaning:
      "A change by the admin API was stored and is in effect: the audit log. It is written at every `[log] level`.",
    fields: {
      what: field(
        "text",
        "`route_set`, `route_removed`, `policy_added`, `policy_removed`, `firewall_rule_added`, " +
          "`firewall_rule_removed`, `max_connections_set`; of `ctl apply` also `listener_added`, `listener_set`, " +
          "`listener_removed`, and `applied` behind the lines of all that it did",
      ),
      listener: optional("text", "the listener's `addr` as configured"),
      hostname: optional("text", "the host name pattern of the route"),
      old: optional("text", "what was there before"),
      new: optional("text", "what is there now"),
      added: optional("integer", "of `applied`: how much was added"),
      changed: optional("integer", "of `applied`: how much was changed"),
      removed: optional("integer", "of `applied`: how much was removed"),
    },
  },
  change_undone: {
    level: "error",
    message: "nothing was changed",
    meaning: "A worker did not confirm a change in time; it was taken back, and its sender was told.",
    remedy: "Send it again. Should that fail too, a worker is stuck: look for `worker_failed`, and restart the server.",
    fields: { what: field("text", "the kinds of change, with commas between"), error },
  },

  // ---- Files ---------------------------------------------------------------------------------------------------------
  certificate_reloaded: {
    level: "info",
    message: "new connections get the renewed certificate",
    meaning: "A renewed certificate was taken into use.",
    fields: { path, hostnames, not_after: field("text", "when it ends") },
  },
  certificate_warning: {
    level: "warn",
    meaning:
      "A renewed certificate was taken into use, and clients may refuse it: it does not cover a host name of its " +
      "routes, is not valid yet, or its chain does not lead to a root; said once of each change. At a start the event " +
      "`config` says the same.",
    remedy: "Do as `message` says; see [RUNBOOK.md](RUNBOOK.md#clients-refuse-the-certificate).",
    fields: { path, hostnames, message: field("text", "what is wrong, and what would be right") },
  },
  certificate_reload_failed: {
    level: "error",
    meaning: "Changed certificate files are of no use; said once. `message` says what serves meanwhile.",
    remedy: "Mend the files; the server looks at them every few seconds, so nothing else is needed.",
    fields: { path, hostnames, error, message: field("text", "what serves meanwhile") },
  },
  certificate_recovered: {
    level: "info",
    message: "the files are sound again",
    meaning: "Certificate files that were of no use are sound again, and as they were before.",
    fields: { path, hostnames },
  },
  certificate_expires_soon: {
    level: "warn",
    message: "the certificate in use ends soon",
    meaning: "A certificate ends within 14 days; said once a day.",
    remedy: "Renew it: whoever does that (certbot, say) has stopped, or writes to another path.",
    fields: { path, not_after: field("text", "when it ends"), hostnames, left: field("text", "how long that is") },
  },
  certificate_expired: {
    level: "error",
    message: "the certificate in use has ended: clients refuse it",
    meaning: "A certificate has ended, and clients refuse it; said once a day.",
    remedy: "Renew it.",
    fields: { path, not_after: field("text", "when it ended"), hostnames },
  },
  certificate_not_served: {
    level: "error",
    message: "the certificate before stays in use",
    meaning: "A worker did not take a renewed certificate in time.",
    remedy: "Send SIGHUP. Should that fail too, a worker is stuck: restart the server.",
    fields: { error },
  },
  geoip_reloaded: {
    level: "info",
    message: "countries are told by the new database",
    meaning: "SIGHUP loaded the GeoIP database anew.",
    fields: { path, built_at: field("text", "when its publisher made it") },
  },
  geoip_reload_failed: {
    level: "error",
    message: "the one before stays in use",
    meaning: "SIGHUP found a GeoIP database that is of no use.",
    remedy: "Fetch the file again, and send SIGHUP.",
    fields: { path, error },
  },
  reloaded: {
    level: "info",
    message: "looked at the GeoIP database and the certificates; the configuration file is not read anew (ctl apply)",
    meaning: "SIGHUP had the server look at its files. What changed, and what is of no use, has a line of its own " +
      "before this one, unless that was told already; where a file is of no use, the one before stays in use.",
    fields: {
      geoip: field("text", "`loaded`, `failed`, or `none` where no file is configured"),
      certificates: field("integer", "how many certificates of L7 routes were looked at"),
      renewed: field("integer", "how many of them new connections get anew"),
      broken: field(
        "integer",
        "how many of them were found to have files of no use; of files that have just been written, " +
          "`certificate_reload_failed` tells that some seconds later",
      ),
    },
  },
  reload_failed: {
    level: "error",
    message: "what was in use before stays in use",
    meaning: "A reload upon SIGHUP was not made.",
    remedy: "Send SIGHUP again; while the server stops there is no reload.",
    fields: { error },
  },

  // ---- Start and stop ------------------------------------------------------------------------------------------------
  starting: {
    level: "info",
    message: "the listeners are bound",
    meaning: "The configuration is sound and the listeners are bound; nothing is accepted yet.",
    fields: {
      version: field("text", "of the program"),
      commit: field("text", "of the program's source; `unknown` where it cannot be told"),
      config: field("text", "the configuration file"),
      database: field("text", "the database file"),
    },
  },
  database_seeded: {
    level: "info",
    message: "the database has what the file says",
    meaning: "The database was empty and was filled from the configuration file.",
    fields: { database: field("text", "the database file") },
  },
  config_differs: {
    level: "warn",
    message:
      "the database has other listeners, routes or firewall rules than the file; those of the database are used: " +
      '"ctl diff FILE" shows where',
    meaning: "The configuration file and the database differ; the database counts.",
    remedy: "Nothing, where changes were made by `ctl`. To go by the file, `ctl apply --prune` it.",
    fields: {},
  },
  config: {
    level: "warn",
    meaning: "A key of the configuration has no effect, or is probably not meant; `message` says why.",
    remedy: "Correct the file, or leave it: the server runs.",
    fields: {
      file: field("text", "the configuration file, or the database where it is a route of that"),
      key: field("text", "the key's path in it"),
      line: optional("integer", "the line of the file on which it stands"),
      message: field("text", "what is wrong, and what would be right"),
    },
  },
  engine_portable: {
    level: "info",
    message: "the portable engine is used",
    meaning:
      "The faster engine cannot run here: not on Linux, Deno may not call libc, or there is no libssl that can be " +
      "used. `reason` says what to install.",
    fields: { reason: field("text", "why") },
  },
  tls_library: {
    level: "info",
    message: "TLS is spoken with this library",
    meaning: "What L7 routes and TLS to backends stand on.",
    fields: {
      library: field("text", "its name and version"),
      path: optional("text", "the file it was loaded from; left out where it is part of the runtime"),
      min_version: field("text", "the oldest version of TLS that is spoken, `1.2` or `1.3`"),
      groups: field("text", "the groups that keys are agreed on with, in order of preference, with a space between"),
    },
  },
  tls_not_post_quantum: {
    level: "warn",
    message:
      "the library has no post-quantum group such as X25519MLKEM768: who records connections today may read them " +
      "one day",
    meaning: "There are L7 routes, and the library cannot agree on keys with a post-quantum group: OpenSSL 3.0 to 3.4.",
    remedy:
      'Name OpenSSL 3.5 or newer in `[proxy] libssl`, or set `engine = "portable"`. Who needs none sets `tls_groups`.',
    fields: {
      library: field("text", "its name and version"),
      path: optional("text", "the file it was loaded from"),
    },
  },
  listen_failed: {
    level: "error",
    message: "the listener, which is stored in the database, is not open; the others serve, and it is tried again",
    meaning:
      "The address of a listener cannot be bound. The others serve without it; it is tried every second, and `listening` says when it is open. Said once for each reason.",
    remedy:
      "Give the host the address or the port that the reason names; or correct the listener: [RUNBOOK.md](RUNBOOK.md#a-listener-is-not-open).",
    fields: { listener, reason: field("text", "what the system said, and what would help") },
  },
  listening: {
    level: "info",
    message: "accepts connections",
    meaning: "A listener accepts connections.",
    fields: { addr: field("text", "the address that is really bound"), listener },
  },
  admin_listening: {
    level: "info",
    message: "answers administrators",
    meaning: "The admin API answers.",
    fields: { addr: field("text", "the path of its socket") },
  },
  metrics_listening: {
    level: "info",
    message: "answers scrapers",
    meaning: "The metrics endpoint answers.",
    fields: { addr: field("text", "the address that is really bound") },
  },
  ready: {
    level: "info",
    message: "the server is up",
    meaning: "All of it is up.",
    fields: {
      engine: field("text", "`epoll` or `portable`"),
      workers: field("integer", "worker threads"),
      listeners: field("integer", "listeners"),
      not_open: optional("integer", "how many of them are not open, where not all are: `listen_failed` says why"),
      routes: field("integer", "routes of all listeners"),
    },
  },
  draining: {
    level: "info",
    message: "waits for open connections",
    meaning: "A signal came: nothing is accepted any more, and open connections may finish.",
    fields: {
      connections: field("integer", "open connections"),
      timeout_ms: field("integer", "how long they may take, in milliseconds"),
    },
  },
  drain_timeout: {
    level: "warn",
    message: "open connections are ended",
    meaning: "Connections were open still when `shutdown_timeout` was over; they were ended.",
    remedy: "Nothing, or a longer `shutdown_timeout`, where connections are meant to last.",
    fields: { connections: field("integer", "how many were ended") },
  },
  listener_closed: {
    level: "info",
    message: "the listener is closed",
    meaning: "A listener is closed, and this is what it did since the start.",
    fields: {
      listener,
      accepted: field("integer", "connections, refused ones included"),
      active: field("integer", "open connections: 0"),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      ...REJECTED,
    },
  },
  stopped: {
    level: "info",
    message: "the server is down",
    meaning: "The last line of an orderly stop.",
    fields: { worker_failures: field("integer", "worker threads that died and were replaced") },
  },

  service_manager: {
    level: "warn",
    message: "the service manager is told nothing",
    meaning: "The service manager that started the server cannot be reached by `NOTIFY_SOCKET`; said once.",
    remedy: "With `Type=notify` it will end the server: set `NotifyAccess=all`, and leave `AF_UNIX` in " +
      "`RestrictAddressFamilies=`.",
    fields: { reason: field("text", "why") },
  },

  // ---- Takeover ------------------------------------------------------------------------------------------------------
  handing_over: {
    level: "info",
    message: "goes on to serve; nothing can be changed meanwhile",
    meaning: "Another process is about to take this one's place: see [UPGRADE.md](UPGRADE.md).",
    fields: { to_pid: field("integer", "that process"), to_version: field("text", "its version") },
  },
  handed_over: {
    level: "info",
    message: "the other process serves; open connections may finish here",
    meaning: "The other process serves. This one drains and ends.",
    fields: { to_pid: field("integer", "that process") },
  },
  handover_failed: {
    level: "warn",
    message: "this process carries on",
    meaning: "The other process did not come to serve; this one takes all back that it had given.",
    remedy: "The other process has said why on its standard error. Mend that, and try again.",
    fields: { to_pid: field("integer", "that process"), reason: field("text", "as far as it is known here") },
  },
  database_held: {
    level: "warn",
    message: "nothing can be changed until that process ends",
    meaning: "A process that failed to take over still has the database.",
    remedy: "End that process.",
    fields: { by_pid: field("integer", "that process") },
  },
  admin_socket_unavailable: {
    level: "error",
    message: "the server serves, and cannot be administered until its socket can be made",
    meaning:
      "The disk of the admin socket takes no write, as it is full or read-only; the socket is made when it does, " +
      "which `admin_listening` says.",
    remedy:
      "Make room, or have the disk writable again; or let `[grpc] addr` name a path on another one, such as `/run`.",
    fields: { error },
  },
  admin_socket_lost: {
    level: "error",
    message: "the server serves on, and cannot be administered",
    meaning: "After a takeover that failed, the admin socket could not be put back.",
    remedy: "Make its folder writable again, and restart the server.",
    fields: { error },
  },
  carrying_on: {
    level: "info",
    message: "all is as it was before the takeover began",
    meaning: "After a takeover that failed, the server can be changed again.",
    fields: {},
  },
  took_over: {
    level: "info",
    message: "serves in the place of the other process",
    meaning: "This process has taken the place of another one.",
    fields: { from_pid: field("integer", "that process"), from_version: field("text", "its version") },
  },
  predecessor_gone: {
    level: "warn",
    message: "starts without it",
    meaning: "The process that was to be replaced ended meanwhile: its connections are lost.",
    remedy: "Its own last lines say why it ended.",
    fields: { pid: field("integer", "that process") },
  },

  // ---- Faults --------------------------------------------------------------------------------------------------------
  internal_error: {
    level: "error",
    message: "a fault of mc-proxy",
    meaning: "A fault of mc-proxy ended one connection, one call of the admin API, one scrape or one task in the " +
      "background.",
    remedy: "Report it with its stack. The rest goes on; a client that meets it again and again can be blocked.",
    fields: {
      method: optional(
        "text",
        "where it was none of a connection: the call, `metrics`, `certificates`, `takeover`; `unhandled` where it can " +
          "be told by its stack alone",
      ),
      stack,
    },
  },
  worker_failed: {
    level: "error",
    message: "a worker thread died; another takes its place",
    meaning:
      "A worker thread died, and with it its connections and its lines of the last 20 ms that were not written; " +
      "another takes its place. What libssl had allocated for its TLS connections stays allocated until the program ends.",
    remedy: "Report it with its stack.",
    fields: { worker: field("integer", "its number, from 0"), stack },
  },
  log_lines_dropped: {
    level: "warn",
    message: "lines of the log were lost",
    meaning: "Lines were lost: whoever reads the log stood still or was gone for a time, or the disk was full.",
    remedy: "Look at what reads standard error: a full disk, a journal that limits rates (`RateLimitBurst=`).",
    fields: { lines: field("integer", "how many") },
  },
} as const satisfies Readonly<Record<string, EventSpec>>;

/** See {@linkcode LOG_EVENTS}. */
export type LogEventName = keyof typeof LOG_EVENTS;

/** The events of a level. */
export type LogEventOf<L extends LogLevel> = {
  [N in LogEventName]: typeof LOG_EVENTS[N]["level"] extends L ? N : never;
}[LogEventName];

type Specs<N extends LogEventName> = typeof LOG_EVENTS[N]["fields"];
type Value<S> = S extends { readonly type: "text" } ? string : number;
type IsOptional<S> = S extends { readonly optional: true } ? true : false;

/** What a line of an event is to tell. */
export type LogFieldsOf<N extends LogEventName> =
  & { readonly [K in keyof Specs<N> as IsOptional<Specs<N>[K]> extends true ? never : K]: Value<Specs<N>[K]> }
  & {
    readonly [K in keyof Specs<N> as IsOptional<Specs<N>[K]> extends true ? K : never]?: Value<Specs<N>[K]> | undefined;
  };
