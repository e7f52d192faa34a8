/**
 * What client and backend have agreed on: host names, the ClientHello, and what a backend does with a connection.
 *
 * @module
 */

import { buildChromeClientHello } from "../../lib/wire/testdata/build_client_hello.ts";

/** What a backend does once it has a ClientHello. */
export type Behaviour = "echo" | "flood" | "answer";

/** The host whose backend sends back all it gets, the ClientHello included. */
export const ECHO_HOST = 0;
/** The host whose backend sends without end. */
export const FLOOD_HOST = 1;
/** The first of the hosts whose backend sends {@linkcode ANSWER_LENGTH} bytes and closes. */
export const FIRST_ANSWER_HOST = 2;

/** Bytes of an answer. */
export const ANSWER_LENGTH = 1024;
/** Bytes of a message of the exchange row. */
export const MESSAGE_LENGTH = 100;

const DIGITS = 7;

/** The name of a host; all names are equally long, and so are their ClientHellos. */
export function hostname(host: number): string {
  return `host-${String(host).padStart(DIGITS, "0")}.bench.example`;
}

/** What the backend of a host does. */
export function behaviourOf(host: number): Behaviour {
  return host === ECHO_HOST ? "echo" : host === FLOOD_HOST ? "flood" : "answer";
}

const TEMPLATE = buildChromeClientHello(hostname(0));

/** Bytes of a ClientHello, for whatever host. */
export const HELLO_LENGTH = TEMPLATE.length;

const DIGITS_AT = offsetOf(TEMPLATE, new TextEncoder().encode(hostname(0))) + "host-".length;

/**
 * Makes a ClientHello as a current browser sends it, post-quantum key share included: about 1.8 KB.
 *
 * @param host 0 to 9,999,999.
 */
export function clientHello(host: number): Uint8Array<ArrayBuffer> {
  const hello = new Uint8Array(TEMPLATE);
  setHost(hello, host);
  return hello;
}

/** Makes `hello` one for another host, in place. */
export function setHost(hello: Uint8Array, host: number): void {
  let rest = host;
  for (let i = DIGITS - 1; i >= 0; i--) {
    hello[DIGITS_AT + i] = 0x30 + rest % 10;
    rest = Math.floor(rest / 10);
  }
}

function offsetOf(bytes: Uint8Array, wanted: Uint8Array): number {
  for (let at = 0; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new RangeError("the ClientHello does not hold its host name");
}
