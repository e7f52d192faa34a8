import assert from "node:assert/strict";
import { withLikelyCause } from "./tls_alert.ts";

Deno.test("an alert that refuses the certificate tells the likely cause, in the words of either library", () => {
  for (
    const [openssl, rustls, cause] of [
      [
        "tlsv1 alert unknown ca",
        "UnknownCA",
        /^the client does not trust the certificate: is the intermediate missing/,
      ],
      ["sslv3 alert bad certificate", "BadCertificate", /^the client refuses the certificate: does it cover the host/],
      ["ssl/tls alert certificate unknown", "CertificateUnknown", /^the client refuses the certificate: does it trust/],
      ["sslv3 alert certificate expired", "CertificateExpired", /^the client finds a certificate of tls_cert expired/],
    ] as const
  ) {
    for (const detail of [openssl, `received fatal alert: ${rustls}`]) {
      const told = withLikelyCause(detail);
      assert.ok(told.startsWith(`${detail} (`) && told.endsWith(")"), told);
      assert.match(told.slice(detail.length + 2, -1), cause);
    }
  }
});

Deno.test("what says nothing of the certificate stays as it is", () => {
  for (
    const detail of [
      "",
      "the client closed the connection",
      "tlsv1 alert protocol version",
      "received fatal alert: HandshakeFailure",
      "unknown ca",
      "sslv3 alert certificate unknown to man",
    ]
  ) assert.equal(withLikelyCause(detail), detail);
});
