import assert from "node:assert/strict";
import { expiredSnapshots } from "./snapshot.ts";

const BEFORE = new Date("2026-01-31T00:00:00Z");

/** Those that are removed, of these files. */
const expired = (...files: string[]) => expiredSnapshots(files, "/srv/mc-proxy/a.db", BEFORE);

Deno.test("a snapshot is removed when it is older, and another one is newer", () => {
  const [old, kept, newest] = ["a-20260130T235959Z.db", "a-20260131T000000Z.db", "a-20260201T000000Z.db"];
  assert.deepEqual(expired(newest, kept, old), [old]);
  assert.deepEqual(expired(old), []);
  assert.deepEqual(expired("a-20250101T000000Z.db", old), ["a-20250101T000000Z.db"]);
});

Deno.test("what is called otherwise is left alone", () => {
  const others = [
    "a.db",
    "a-20010101T000000Z.db-journal",
    ".a-20010101T000000Z.db.1234",
    "a-b-20010101T000000Z.db",
    "b-20010101T000000Z.db",
    "a-2001-01-01.db",
    "xa-20010101T000000Z.db",
  ];
  assert.deepEqual(expired(...others, "a-20260201T000000Z.db"), []);
});
