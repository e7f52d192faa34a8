import assert from "node:assert/strict";
import { TABLES } from "./config_schema.ts";
import { nearest } from "./nearest.ts";

const KEYS = [...new Set(Object.values(TABLES).flatMap((table) => Object.keys(table)))];

Deno.test("one slip of the finger in a key is seen through, whichever it is", () => {
  for (const key of KEYS.filter((each) => each.length > 3)) {
    for (let i = 1; i < key.length; i++) {
      const [before, after] = [key.slice(0, i), key.slice(i)];
      const slips = [`${before}q${after}`, before + after.slice(1), `${before}q${after.slice(1)}`];
      slips.push(before + (after[1] ?? "") + (after[0] ?? "") + after.slice(2));
      for (const slip of slips) {
        const meant = nearest(slip, KEYS);
        assert.ok(meant === key || KEYS.includes(slip) || KEYS.some((other) => other !== key && meant === other), slip);
        assert.equal(nearest(slip, [key, "unlike_all_of_them"]), key, slip);
      }
    }
  }
});

Deno.test("a word that is like none is not taken for one", () => {
  for (const word of ["", "x", "ab", "colour", "listen_on", "ssl"]) assert.equal(nearest(word, KEYS), undefined, word);
});

Deno.test("of several the nearest is meant", () => {
  assert.equal(nearest("blocked_ip", ["blocked_cidrs", "blocked_ips"]), "blocked_ips");
  assert.equal(nearest("tls_ket", ["tls_cert", "tls_key"]), "tls_key");
});
