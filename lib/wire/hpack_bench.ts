/**
 * What a small request costs HPACK: `deno bench lib/wire/hpack_bench.ts`.
 *
 * @module
 */

import { ByteWriter } from "./byte_writer.ts";
import type { FieldList } from "./field_list.ts";
import { HpackDecoder } from "./hpack_decoder.ts";
import { HpackEncoder } from "./hpack_encoder.ts";

const REQUEST: FieldList = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "git.example.net"],
  [":path", "/projects/mc-proxy/issues?state=open&page=2"],
  [
    "user-agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  ],
  ["accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["accept-language", "en-GB,en;q=0.9"],
  ["referer", "https://git.example.net/projects/mc-proxy/"],
  ["cookie", "session=3f0a5b7c9d1e2f3a4b5c6d7e8f90; theme=dark"],
  ["x-forwarded-for", "192.0.2.17"],
  ["x-request-id", "7b3c1b1e-7f5a-4a55-9d38-3b8f2c54d0aa"],
].flat();

const RESPONSE: FieldList = [
  [":status", "200"],
  ["date", "Mon, 24 Nov 2025 14:00:00 GMT"],
  ["content-type", "text/html; charset=utf-8"],
  ["content-length", "5120"],
  ["cache-control", "no-cache"],
  ["etag", '"3f0a5b7c9d1e2f3a"'],
].flat();

for (const [group, fields] of Object.entries({ "request of 12 fields": REQUEST, "response of 6 fields": RESPONSE })) {
  const out = new ByteWriter(4096);
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096, 65536);
  encoder.encode(fields, out);
  decoder.decode(out.taken());
  encoder.encode(fields, out);
  const again = out.taken(); // what repeats is in the tables by now
  const fresh = new ByteWriter(4096);
  new HpackEncoder().encode(fields, fresh);
  const first = fresh.taken();

  Deno.bench("encode", { group, baseline: true }, () => {
    out.clear();
    encoder.encode(fields, out);
  });
  Deno.bench(`decode ${again.length} octets`, { group }, () => {
    decoder.decode(again);
  });
  Deno.bench("encode, tables empty", { group }, () => {
    out.clear();
    new HpackEncoder().encode(fields, out);
  });
  Deno.bench(`decode ${first.length} octets, tables empty`, { group }, () => {
    new HpackDecoder(4096, 65536).decode(first);
  });
}
