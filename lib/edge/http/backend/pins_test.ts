import assert from "node:assert/strict";
import { isPinAlone, refusedPin } from "./pins.ts";

const KEY = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const NEXT = `sha256/${"A".repeat(43)}=`;

Deno.test("a backend without pins may have any key, one with pins any of them", () => {
  assert.equal(refusedPin({ backendPins: [], backendCa: "" }, "b.test", () => undefined), undefined);
  assert.equal(refusedPin({ backendPins: [], backendCa: "" }, "b.test", () => KEY), undefined);
  assert.equal(refusedPin({ backendPins: [NEXT, KEY], backendCa: "" }, "b.test", () => KEY), undefined);
});

Deno.test("another key is refused, and the error has both, to be copied", () => {
  const refused = refusedPin({ backendPins: [NEXT], backendCa: "PEM" }, "b.test", () => KEY);
  assert.equal(refused?.kind, "tls");
  assert.equal(refused?.message, `b.test has the public key ${KEY}, and backend_pins allows ${NEXT}`);
});

Deno.test("no certificate is no key", () => {
  const refused = refusedPin({ backendPins: [NEXT], backendCa: "" }, "b.test", () => undefined);
  assert.equal(refused?.message, `b.test has shown no certificate, and backend_pins allows ${NEXT}`);
});

Deno.test("a pin stands alone where there are no authorities of the route's own", () => {
  assert.equal(isPinAlone({ backendPins: [KEY], backendCa: "" }), true);
  assert.equal(isPinAlone({ backendPins: [KEY], backendCa: "PEM" }), false);
  assert.equal(isPinAlone({ backendPins: [], backendCa: "" }), false);
});
