/**
 * The rules that the head and the framing of an HTTP/1.1 message can break.
 *
 * @module
 */

/** Each rule, and the status that tells a client of it. */
const STATUS_OF_RULE = {
  /** A line ends with LF alone. */
  bare_lf: 400,
  /** A CR that no LF follows. */
  bare_cr: 400,
  /** More empty lines before the request line than RFC 9112 §2.2 has in mind. */
  empty_lines: 400,
  /** The head is longer than the limit. */
  head_too_large: 431,
  /** There are more fields than the limit. */
  too_many_fields: 431,
  /** The request line is not method, target and version with one space between them (RFC 9112 §3). */
  request_line: 400,
  /** The method is not a token. */
  method: 400,
  /** The method has more than 32 octets. */
  method_too_long: 501,
  /** The target holds a control character, or one that is not ASCII. */
  target_characters: 400,
  /** The target has more than 8192 octets, or the request line fills the whole head. */
  target_too_long: 414,
  /** The target has none of the forms of RFC 9112 §3.2 that the method may have. */
  target_form: 400,
  /** The target has a fragment. */
  target_fragment: 400,
  /** The authority in the target is not host or host:port. */
  target_authority: 400,
  /** The protocol version is not spelt `HTTP/`, digit, dot, digit. */
  version: 400,
  /** The major version of the protocol is not 1. */
  version_unsupported: 505,
  /** The status line is not version, three digits and reason (RFC 9112 §4). */
  status_line: 400,
  /** White space between the start line and the first field (RFC 9112 §2.2). */
  leading_whitespace: 400,
  /** A field goes on in the next line (RFC 9112 §5.2). */
  obs_fold: 400,
  /** White space between field name and colon (RFC 9112 §5.1). */
  space_before_colon: 400,
  /** A field name is empty or not a token, or no colon follows it. */
  field_name: 400,
  /** A field value holds a control character. */
  field_value: 400,
  /** A request of HTTP/1.1 without a Host field (RFC 9112 §3.2). */
  host_missing: 400,
  /** More than one Host field. */
  host_repeated: 400,
  /** The Host field is not host or host:port. */
  host: 400,
  /** Content-Length is no number, too large a one, or several (RFC 9112 §6.3). */
  content_length: 400,
  /** Both Transfer-Encoding and Content-Length (RFC 9112 §6.1). */
  two_lengths: 400,
  /** Transfer-Encoding is not a list of codings. */
  transfer_encoding: 400,
  /** Transfer-Encoding in a message of HTTP/1.0 (RFC 9112 §6.1). */
  transfer_encoding_in_http_1_0: 400,
  /** Chunked is not the last transfer coding, so the body has no end that all agree on (RFC 9112 §6.3, 4). */
  chunked_not_last: 400,
  /** Chunked is applied more than once (RFC 9112 §6.1). */
  chunked_twice: 400,
  /** A transfer coding other than chunked stands before it (RFC 9112 §6.1). */
  transfer_coding: 501,
} as const satisfies Readonly<Record<string, 400 | 414 | 431 | 501 | 505>>;

/** The name of a rule. */
export type HeadRule = keyof typeof STATUS_OF_RULE;

/** A head or its framing breaks a rule: nothing that follows on the connection can be told apart. */
export interface HeadError {
  readonly kind: "malformed";
  readonly rule: HeadRule;
  /** What to answer a client with. Where the message is a response, the client is to be answered 502 instead. */
  readonly status: (typeof STATUS_OF_RULE)[HeadRule];
}

export function malformed(rule: HeadRule): HeadError {
  return { kind: "malformed", rule, status: STATUS_OF_RULE[rule] };
}
