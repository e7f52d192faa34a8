/**
 * What a process takes over from the one that it replaces.
 *
 * @module
 */

/** A listener of the process that is replaced. */
export interface InheritedListener {
  /** `host:port` as it is bound. */
  readonly boundAddr: string;
  /**
   * Its sockets, as descriptors of this process. None where they were not passed on: then the address is bound beside
   * the other process, with `SO_REUSEPORT`.
   */
  readonly fds: readonly number[];
}

/** Listeners by their `addr` as configured. */
export type Inheritance = ReadonlyMap<string, InheritedListener>;

/** Of a program that replaces none. */
export const NOTHING_INHERITED: Inheritance = new Map();
