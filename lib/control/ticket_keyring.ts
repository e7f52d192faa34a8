/**
 * The keys of session tickets: made here, replaced in time, and handed on to the process that takes this one's place.
 *
 * They are in memory alone: in no file, log, status or export.
 *
 * @module
 */

import { newTicketKey, type TicketKey } from "../edge/ticket_key.ts";

/** How long a key makes tickets. A ticket is taken for as long again, which is longer than any session lives. */
const ROTATION_MS = 12 * 3_600_000;

/** The one that makes tickets, and the one before it. */
const KEPT = 2;

/** What the next process goes on with. */
export interface HandedTicketKeys {
  /** The first makes tickets, all take them. */
  readonly keys: readonly TicketKey[];
  /** After how long the next one is to be made, in milliseconds. */
  readonly rotateMs: number;
}

/** How a {@linkcode TicketKeyring} goes on, and whom it tells. */
export interface TicketKeyringOptions {
  /** Those of the process that this one replaces. */
  readonly handed?: HandedTicketKeys | undefined;
  /** How long a key makes tickets, in milliseconds; by default 12 hours. */
  readonly rotationMs?: number;
  /** There are other keys now. */
  changed(keys: readonly TicketKey[]): void;
}

/** See the module. */
export class TicketKeyring implements Disposable {
  readonly #options: TicketKeyringOptions;
  readonly #rotationMs: number;
  #keys: readonly TicketKey[];
  #rotateAt: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: TicketKeyringOptions) {
    const { handed, rotationMs = ROTATION_MS } = options;
    this.#options = options;
    this.#rotationMs = rotationMs;
    const isHanded = handed !== undefined && handed.keys.length > 0;
    this.#keys = isHanded ? handed.keys.slice(0, KEPT) : [newTicketKey()];
    this.#rotateAt = performance.now() + (isHanded ? Math.min(handed.rotateMs, rotationMs) : rotationMs);
    this.#wait();
  }

  /** The first makes tickets, all take them. */
  get keys(): readonly TicketKey[] {
    return this.#keys;
  }

  /** What the next process goes on with. */
  hand(): HandedTicketKeys {
    return { keys: this.#keys, rotateMs: Math.max(0, Math.round(this.#rotateAt - performance.now())) };
  }

  /** Makes no more keys. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#rotate(), this.#rotateAt - performance.now());
    Deno.unrefTimer(Number(this.#timer)); // the program does not go on for it
  }

  #rotate(): void {
    this.#keys = [newTicketKey(), ...this.#keys].slice(0, KEPT);
    this.#rotateAt = performance.now() + this.#rotationMs;
    this.#wait();
    this.#options.changed(this.#keys);
  }
}
