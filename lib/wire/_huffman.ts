/**
 * The Huffman code of HPACK (RFC 7541 §5.2, appendix B).
 *
 * @module
 */

import type { ByteWriter } from "./byte_writer.ts";

/**
 * How many bits the code of each octet has, and of EOS, the last. The code is canonical: in the order of length, then of
 * octet, each is the one before plus one.
 */
// deno-fmt-ignore
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;
const CODES = new Uint32Array(EOS + 1);
const CODE_LENGTHS = Uint8Array.from(LENGTHS);

/**
 * The decoder is an automaton that takes four bits at a time: for each state, an inner node of the code's tree, and each
 * nibble, the next state and the octet that ends on the way, if one does. No code is shorter than five bits.
 */
const NIBBLES = 16;
const NEXT = new Uint16Array(EOS * NIBBLES);
const EMITTED = new Int16Array(EOS * NIBBLES).fill(-1);
/** Whether a string may end in a state: on at most seven bits, all of them 1 (RFC 7541 §5.2). */
const ACCEPTS = new Uint8Array(EOS);
const DEAD = 0xffff; // EOS itself, which no string may hold

build();

function build(): void {
  const order = Array.from(LENGTHS.keys()).sort((a, b) => (LENGTHS[a] ?? 0) - (LENGTHS[b] ?? 0) || a - b);
  let code = 0;
  let length = LENGTHS[order[0] ?? 0] ?? 0;
  // Inner nodes in the order of their making, each with two children: another node, or -1 - octet.
  const children: [number, number][] = [[0, 0]];
  for (const octet of order) {
    const bits = LENGTHS[octet] ?? 0;
    code = code * 2 ** (bits - length);
    length = bits;
    CODES[octet] = code;
    plant(children, code, bits, -1 - octet);
    code++;
  }
  for (let state = 0, node = 0; state < 8; state++) {
    ACCEPTS[node] = 1; // the first nodes on the way of ones
    node = children[node]?.[1] ?? 0;
  }
  for (const node of children.keys()) for (let nibble = 0; nibble < NIBBLES; nibble++) walk(children, node, nibble);
}

function plant(children: [number, number][], code: number, length: number, leaf: number): void {
  let node = 0;
  for (let bit = length - 1; bit >= 0; bit--) {
    const side = ((code >>> bit) & 1) as 0 | 1;
    const pair = children[node];
    if (pair === undefined) throw new TypeError("a node without children");
    if (bit === 0) pair[side] = leaf;
    else if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
    node = pair[side];
  }
}

function walk(children: readonly [number, number][], start: number, nibble: number): void {
  let node = start;
  for (let bit = 3; bit >= 0; bit--) {
    node = children[node]?.[((nibble >>> bit) & 1) as 0 | 1] ?? 0;
    if (node >= 0) continue;
    if (node === -1 - EOS) {
      NEXT[start * NIBBLES + nibble] = DEAD;
      return;
    }
    EMITTED[start * NIBBLES + nibble] = -1 - node;
    node = 0;
  }
  NEXT[start * NIBBLES + nibble] = node;
}

/**
 * Decodes octets `start` to `end`.
 *
 * @param out At least 8/5 as long as what is decoded.
 * @returns How many octets were written, or -1 where the padding is wrong or EOS is within.
 */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i] ?? 0;
    let at = state * NIBBLES + (octet >>> 4);
    let emitted = EMITTED[at] ?? -1;
    if (emitted >= 0) out[length++] = emitted;
    state = NEXT[at] ?? DEAD;
    if (state === DEAD) return -1;
    at = state * NIBBLES + (octet & 15);
    emitted = EMITTED[at] ?? -1;
    if (emitted >= 0) out[length++] = emitted;
    state = NEXT[at] ?? DEAD;
    if (state === DEAD) return -1;
  }
  return ACCEPTS[state] === 1 ? length : -1;
}

/** How many octets a text takes, whose every character is one octet. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_LENGTHS[text.charCodeAt(i)] ?? 0;
  return (bits + 7) >>> 3;
}

/** Appends the code of a text. */
export function huffmanEncode(text: string, length: number, out: ByteWriter): void {
  out.reserve(length);
  const { bytes } = out;
  let at = out.length;
  let pending = 0; // what is not yet a whole octet: less than 8 bits of `count`
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    let length = CODE_LENGTHS[octet] ?? 0;
    let code = CODES[octet] ?? 0;
    if (length > 24) { // in two parts, so that 32 bits are enough
      pending = (pending << (length - 24)) | (code >>> 24);
      count += length - 24;
      if (count >= 8) {
        count -= 8;
        bytes[at++] = pending >>> count;
        pending &= (1 << count) - 1;
      }
      code &= 0xffffff;
      length = 24;
    }
    pending = (pending << length) | code;
    count += length;
    while (count >= 8) {
      count -= 8;
      bytes[at++] = pending >>> count;
    }
    pending &= (1 << count) - 1;
  }
  if (count > 0) bytes[at++] = (pending << (8 - count)) | (0xff >>> count);
  out.length = at;
}
