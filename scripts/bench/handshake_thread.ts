/**
 * TLS handshakes beside a load, made by a thread of the same client.
 *
 * @module
 */

import type { Handshakes } from "./measurement.ts";

/** What the thread is told. */
export interface HandshakeOrder {
  readonly handshakes: Handshakes;
  /** Shared with it, at {@linkcode COUNT} and {@linkcode STOP}. */
  readonly state: Int32Array<SharedArrayBuffer>;
}

/** What the thread tells: that it begins, and in the end what its handshakes led to. */
export type HandshakeNews = { readonly kind: "started" } | { readonly kind: "stopped"; readonly tls: string };

/** Where the number of handshakes is that are done. */
export const COUNT = 0;
/** Where other than 0 says that it is enough. */
export const STOP = 1;

/** The thread, from the other side. */
export class HandshakeThread implements Disposable {
  /** Resolves when it has begun; rejects where it fails first. */
  readonly started: Promise<void>;
  readonly #state = new Int32Array(new SharedArrayBuffer(8));
  readonly #worker = new Worker(new URL("handshakes.ts", import.meta.url), { type: "module" });
  readonly #stopped = Promise.withResolvers<string>();

  constructor(handshakes: Handshakes) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.started = promise;
    this.#stopped.promise.catch(() => {}); // not everyone asks for it
    this.#worker.onmessage = ({ data }: MessageEvent<HandshakeNews>) => {
      if (data.kind === "started") resolve();
      else this.#stopped.resolve(data.tls);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const error = new Error(`the handshakes failed: ${event.message}`);
      reject(error);
      this.#stopped.reject(error);
    };
    this.#worker.postMessage({ handshakes, state: this.#state } satisfies HandshakeOrder);
  }

  /** How many are done. */
  get count(): number {
    return Atomics.load(this.#state, COUNT);
  }

  /** Ends it. @returns What the first handshake led to; rejects where one failed. */
  stop(): Promise<string> {
    Atomics.store(this.#state, STOP, 1);
    return this.#stopped.promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
