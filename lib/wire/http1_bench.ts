/**
 * What a small request costs the HTTP/1.1 parsers and encoders: `deno bench lib/wire/http1_bench.ts`.
 *
 * @module
 */

import { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";
import { requestFraming, responseFraming } from "./http1_body.ts";
import { ChunkedDecoder } from "./http1_chunked.ts";
import { encodeRequestHead, encodeResponseHead } from "./http1_encode.ts";
import { parseRequestHead, parseResponseHead } from "./http1_head.ts";
import { parseTarget } from "./http1_target.ts";

const LIMITS = { maxLength: 16384, maxFields: 100 };
const PROGRESS = { searched: 0 };

const REQUEST_FIELDS: FieldList = [
  ["Host", "git.example.net"],
  ["Connection", "keep-alive"],
  ["sec-ch-ua", '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'],
  ["sec-ch-ua-mobile", "?0"],
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  ],
  ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["Sec-Fetch-Site", "same-origin"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Referer", "https://git.example.net/projects/mc-proxy/"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Accept-Language", "en-GB,en;q=0.9"],
  ["Cookie", "session=3f0a5b7c9d1e2f3a4b5c6d7e8f90; theme=dark"],
].flat();

const RESPONSE_FIELDS: FieldList = [
  ["date", "Mon, 24 Nov 2025 14:00:00 GMT"],
  ["content-type", "text/html; charset=utf-8"],
  ["content-length", "5120"],
  ["cache-control", "no-cache"],
  ["etag", '"3f0a5b7c9d1e2f3a"'],
  ["vary", "accept-encoding"],
].flat();

const out = new ByteWriter(4096);
encodeRequestHead(out, "GET", "/projects/mc-proxy/issues?state=open&page=2", REQUEST_FIELDS);
const request = out.taken();
encodeResponseHead(out, 200, RESPONSE_FIELDS);
const response = out.taken();
const parsed = parseRequestHead(request, LIMITS, PROGRESS);
if (parsed.kind !== "head") throw new TypeError(`the request must be sound, not ${parsed.kind}`);

const head = { group: "request head of 12 fields" };
Deno.bench(`parse, ${request.length} octets`, { ...head, baseline: true }, () => {
  parseRequestHead(request, LIMITS, PROGRESS);
});
Deno.bench("target and framing", head, () => {
  parseTarget(parsed.method, parsed.target, "git.example.net");
  requestFraming(parsed.fields, parsed.minor);
});
Deno.bench("encode", head, () => {
  out.clear();
  encodeRequestHead(out, "GET", parsed.target, parsed.fields);
});

const answer = { group: "response head of 6 fields" };
Deno.bench(`parse with framing, ${response.length} octets`, { ...answer, baseline: true }, () => {
  const head = parseResponseHead(response, LIMITS, PROGRESS);
  if (head.kind === "head") responseFraming("GET", head.status, head.fields, head.minor);
});
Deno.bench("encode a response", answer, () => {
  out.clear();
  encodeResponseHead(out, 200, RESPONSE_FIELDS);
});

for (const size of [16, 16384]) {
  const chunk = `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
  const body = new TextEncoder().encode(`${chunk.repeat(16)}0\r\n\r\n`);
  Deno.bench(`16 chunks of ${size} octets`, { group: "chunked body" }, () => {
    new ChunkedDecoder(LIMITS).feed(body, () => {});
  });
}
