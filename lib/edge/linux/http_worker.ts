/**
 * The thread of an HTTP worker.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { Socket } from "node:net";
import { Counters, type CounterWriter, isRejection, type RejectReason } from "../counters.ts";
import type { ConnectionEnd, RequestEnd } from "../engine.ts";
import { HttpService } from "../http/service.ts";
import { Suppression } from "../suppression.ts";
import { stackOf } from "../thrown.ts";
import { TimedDeadlines } from "../timed_deadlines.ts";
import { parseEndpoint } from "../../wire/socket_address.ts";
import type { FromHttpWorker, HandedOver, HttpWorkerSetup, ToHttpWorker } from "./messages.ts";

/** What ended is reported together: when there is so much, or at the latest after this time. */
const REPORT_COUNT = 256;
const REPORT_MS = 20;

/** One HTTP worker. */
class HttpWorker {
  readonly #service: HttpService;
  readonly #counters: CounterWriter;
  readonly #owners: Uint16Array;
  readonly #reportsEnds: boolean;
  readonly #suppression: Suppression;
  #ends: ConnectionEnd[] = [];
  #requests: RequestEnd[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ writer, snapshot, shared }: HttpWorkerSetup) {
    this.#counters = new Counters(snapshot.listeners.length, shared.writers, shared.counters).writer(writer);
    this.#owners = new Uint16Array(shared.owners);
    this.#reportsEnds = snapshot.reportsConnections;
    const deadlines = new TimedDeadlines();
    this.#suppression = new Suppression({
      deadlines,
      now: () => performance.now(),
      report: (lines) => report({ kind: "suppressed", lines }),
    });
    this.#service = new HttpService(snapshot, {
      counters: this.#counters,
      deadlines,
      suppression: this.#suppression,
      requestEnded: (end) => {
        this.#requests.push(end);
        this.#reportSoon();
      },
      dialFailed: (backend) => report({ kind: "dial_failed", backend }),
      internalError: (stack) => report({ kind: "internal_error", stack }),
    });
  }

  handle(message: ToHttpWorker): void {
    switch (message.kind) {
      case "take":
        return this.#take(message.connection);
      case "change":
        this.#service.apply(message.changes);
        return report({ kind: "acknowledged", sequence: message.sequence });
      case "drain":
        this.#service.drain().then(() => {
          this.#report();
          this.#suppression.flush();
          report({ kind: "drained" });
        }, fail);
        return;
      case "abort":
        return this.#service.abort();
      case "exit":
        return self.close();
      default:
        throw new TypeError(`unknown message: ${JSON.stringify(message satisfies never)}`);
    }
  }

  #take({ fd, listener, client, destination, ...rest }: HandedOver): void {
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.#owners[fd] = 0; // the runtime closes it now, whatever becomes of this thread
    socket.setNoDelay(true);
    const endpoints = { client: parseEndpoint(client), destination: parseEndpoint(destination) };
    if (endpoints.client === undefined || endpoints.destination === undefined) {
      throw new TypeError(`not endpoints: ${client} ${destination}`);
    }
    const accepted = { listener, client: endpoints.client, destination: endpoints.destination, ...rest };
    this.#service.take(socket, accepted, (end) => this.#ended(listener, end));
  }

  #ended(listener: number, end: ConnectionEnd): void {
    const isRefused = isRejection(end.end);
    if (isRefused) this.#counters.reject(listener, end.end);
    this.#counters.close(listener);
    if (!this.#reportsEnds || (isRefused && this.#suppresses(end, end.end))) return;
    this.#ends.push(end);
    this.#reportSoon();
  }

  /** Whether a refusal is one of so many that it is only counted. */
  #suppresses({ listener, route: hostname, backend, client }: ConnectionEnd, reason: RejectReason): boolean {
    const route = hostname === undefined ? undefined : { hostname, backend };
    const suppressed = this.#suppression.refused(listener, reason, route);
    if (suppressed?.wantsClient) suppressed.note(client);
    return suppressed !== undefined;
  }

  #reportSoon(): void {
    if (this.#ends.length + this.#requests.length >= REPORT_COUNT) return this.#report();
    this.#timer ??= setTimeout(() => this.#report(), REPORT_MS);
  }

  #report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#ends.length + this.#requests.length === 0) return;
    report({ kind: "ended", ends: this.#ends, requests: this.#requests });
    this.#ends = [];
    this.#requests = [];
  }
}

let worker: HttpWorker | undefined;

self.onmessage = ({ data }: MessageEvent<HttpWorkerSetup | ToHttpWorker>) => {
  try {
    if ("kind" in data) return worker?.handle(data);
    worker = new HttpWorker(data);
    report({ kind: "ready" });
  } catch (error) {
    fail(error);
  }
};

// A fault in a callback of the runtime's: what it has left half-done is unknown, so the thread ends.
self.addEventListener("error", (event) => {
  event.preventDefault();
  fail(event.error);
});
self.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fail(event.reason);
});

function fail(error: unknown): void {
  report({ kind: "failed", stack: stackOf(error) });
  self.close();
}

function report(message: FromHttpWorker): void {
  self.postMessage(message);
}
