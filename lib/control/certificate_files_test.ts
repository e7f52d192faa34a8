import assert from "node:assert/strict";
import { type Authority, createAuthority, type KeyPair } from "../../scripts/dev/certificates.ts";
import type { CertificateTrial } from "./certificates.ts";
import { CertificateReadings } from "./certificate_readings.ts";
import { CertificateFiles, certificateName, type CertificateUser } from "./certificate_files.ts";
import { Log } from "./log.ts";

const DAY_MS = 86_400_000;
/** Longer than files must stand still, and shorter than they may be at odds. */
const A_MOMENT = 1_500;
/** Longer than certificate and key may be at odds. */
const A_WHILE = 6_000;

const authority: Authority = await createAuthority("Test authority");

/** Certificates in a folder of their own, under a clock that stands still until it is set. */
class Bench implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();
  readonly #lines: string[] = [];
  /** Names and contents of what was reported as changed. */
  readonly changed: (readonly [string, string])[] = [];
  now = Date.now() + 60_000; // what a test has just written is old to it
  readonly #log = new Log("debug", "text", {
    write: (octets) => {
      const text = new TextDecoder().decode(octets).replaceAll(this.folder, "DIR");
      this.#lines.push(...text.trimEnd().split("\n").map((line) => line.replace(/^\S+ /, "")));
      return Promise.resolve(octets.length);
    },
  });
  /** What the library that serves makes of a certificate. */
  trial: CertificateTrial = () => undefined;
  readonly files = new CertificateFiles({
    log: this.#log,
    events: { changed: (name, { cert, key }) => void this.changed.push([name, cert + key]) },
    trial: (certificate) => this.trial(certificate),
    now: () => this.now,
  });

  [Symbol.asyncDispose](): Promise<void> {
    this.files.close();
    return Deno.remove(this.folder, { recursive: true });
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** Puts a file in the place of another: two writes to one file in one tick of the clock could not be told apart. */
  write(name: string, text: string): void {
    Deno.writeTextFileSync(this.path("new"), text);
    Deno.renameSync(this.path("new"), this.path(name));
  }

  writePair({ cert, key }: KeyPair): void {
    this.write("x.pem", cert);
    this.write("x.key", key);
  }

  /** A route with the files `x.pem` and `x.key`, or others. */
  route(hostname = "a.example", { cert = "x.pem", key = "x.key" } = {}): CertificateUser {
    return { mode: "l7", hostname, tlsCert: this.path(cert), tlsKey: this.path(key) };
  }

  /** Looks at the files `ms` later, as the timer does. */
  async poll(ms: number): Promise<void> {
    this.now += ms;
    await this.files.poll();
  }

  /** The lines of the log since the last time, without their time. */
  async logged(): Promise<string[]> {
    await this.#log.flush();
    return this.#lines.splice(0);
  }

  /** What serves `route`, certificate and key in one. */
  serving(route = this.route()): string | undefined {
    const certificate = this.files.current(route);
    return certificate && certificate.cert + certificate.key;
  }
}

/** When certificates here end: a renewed one is valid already. */
const END = new Date(Math.floor(Date.now() / 1000) * 1000 + 60 * DAY_MS);
const END_TEXT = END.toISOString().replace(".000Z", "Z");

function issue(notAfter = END): Promise<KeyPair> {
  const validity = { notBefore: new Date(notAfter.getTime() - 90 * DAY_MS), notAfter };
  return authority.issue({ hostnames: ["a.example"], validity });
}

function text({ cert, key }: KeyPair): string {
  return cert + key;
}

const RELOADED = `info certificate_reloaded path=DIR/x.pem hostnames=a.example not_after=${END_TEXT} ` +
  'message="new connections get the renewed certificate"';

Deno.test("a certificate serves as soon as its route is added, and nobody is told of it", async () => {
  await using bench = new Bench();
  const pair = await issue();
  bench.writePair(pair);
  bench.files.add(bench.route(), ":443");
  assert.equal(bench.serving(), text(pair));
  await bench.poll(A_WHILE);
  assert.deepEqual([bench.changed, await bench.logged(), bench.files.counts], [[], [], { reloads: 0, failures: 0 }]);
});

Deno.test("a renewed certificate serves once it stands still, and is told once", async () => {
  await using bench = new Bench();
  const [old, renewed] = [await issue(), await issue()];
  bench.writePair(old);
  bench.files.add(bench.route(), ":443");
  bench.writePair(renewed);
  await bench.poll(0);
  assert.equal(bench.serving(), text(old));
  await bench.poll(A_MOMENT);
  assert.equal(bench.serving(), text(renewed));
  await bench.poll(A_WHILE);
  await bench.poll(A_WHILE);
  assert.deepEqual(bench.changed, [[certificateName(bench.route()), text(renewed)]]);
  assert.deepEqual([await bench.logged(), bench.files.counts], [[RELOADED], { reloads: 1, failures: 0 }]);
});

Deno.test("a check takes a renewed certificate at once", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const renewed = await issue();
  bench.writePair(renewed);
  await bench.files.check();
  assert.equal(bench.serving(), text(renewed));
  await bench.poll(A_WHILE);
  assert.equal(bench.changed.length, 1);
});

Deno.test("between the writes of certificate and key nothing changes and nothing is told", async () => {
  await using bench = new Bench();
  const [old, renewed] = [await issue(), await issue()];
  bench.writePair(old);
  bench.files.add(bench.route(), ":443");
  for (const [file, contents] of [["x.pem", renewed.cert.slice(0, 99)], ["x.pem", renewed.cert]] as const) {
    bench.write(file, contents);
    await bench.poll(A_MOMENT);
    await bench.files.check();
    await bench.poll(A_MOMENT);
    assert.deepEqual([bench.serving(), await bench.logged()], [text(old), []]);
  }
  bench.write("x.key", renewed.key);
  await bench.poll(0);
  await bench.poll(A_MOMENT);
  assert.deepEqual([bench.serving(), await bench.logged()], [text(renewed), [RELOADED]]);
});

Deno.test("a broken pair is told and counted once of each state of the files, and the one before goes on", async () => {
  await using bench = new Bench();
  const [old, other] = [await issue(), await issue()];
  bench.writePair(old);
  bench.files.add(bench.route(), ":443");
  const failed = (error: string) =>
    `error certificate_reload_failed path=DIR/x.pem hostnames=a.example error="${error}" ` +
    'message="the one before stays in use"';
  bench.write("x.key", other.key);
  await bench.poll(0);
  for (let i = 0; i < 5; i++) await bench.poll(A_WHILE);
  await bench.files.check();
  assert.deepEqual(await bench.logged(), [failed("DIR/x.key: is not the key of the certificate in DIR/x.pem")]);
  Deno.removeSync(bench.path("x.key"));
  await bench.poll(0);
  for (let i = 0; i < 5; i++) await bench.poll(A_WHILE);
  assert.deepEqual(await bench.logged(), [failed("DIR/x.key: does not exist")]);
  assert.equal(bench.serving(), text(old));
  assert.equal(bench.files.status()[0]?.problem, `${bench.path("x.key")}: does not exist`);
  bench.write("x.key", old.key);
  await bench.poll(0);
  await bench.poll(A_MOMENT);
  assert.deepEqual(await bench.logged(), [
    'info certificate_recovered path=DIR/x.pem hostnames=a.example message="the files are sound again"',
  ]);
  assert.deepEqual([bench.changed, bench.files.counts], [[], { reloads: 0, failures: 2 }]);
  assert.deepEqual(bench.files.status(), [{
    name: certificateName(bench.route()),
    certFile: bench.path("x.pem"),
    keyFile: bench.path("x.key"),
    notAfter: END,
    routes: [{ listener: ":443", hostname: "a.example" }],
    hostnames: ["a.example"],
    failures: 2,
    problem: undefined,
  }]);
});

Deno.test("a route whose files are of no use has no certificate, which is told at once, until they are sound", async () => {
  await using bench = new Bench();
  bench.files.add(bench.route(), ":443");
  assert.deepEqual([bench.serving(), await bench.logged()], [undefined, [
    "error certificate_reload_failed path=DIR/x.pem hostnames=a.example " +
    'error="DIR/x.pem: does not exist; DIR/x.key: does not exist" ' +
    'message="its routes refuse connections until it is sound"',
  ]]);
  await bench.poll(A_WHILE);
  assert.deepEqual([bench.files.status()[0]?.notAfter, await bench.logged()], [undefined, []]);
  const pair = await issue();
  bench.writePair(pair);
  await bench.poll(0);
  await bench.poll(A_MOMENT);
  assert.deepEqual(bench.changed, [[certificateName(bench.route()), text(pair)]]);
  assert.deepEqual([bench.serving(), await bench.logged()], [text(pair), [RELOADED]]);
});

Deno.test("files that are new and of no use when their route is added are told of once", async () => {
  await using bench = new Bench();
  const [pair, other] = [await issue(), await issue()];
  bench.writePair({ cert: pair.cert, key: other.key });
  bench.now = Date.now();
  bench.files.add(bench.route(), ":443");
  for (let i = 0; i < 5; i++) await bench.poll(A_MOMENT);
  await bench.poll(A_WHILE);
  assert.equal((await bench.logged()).length, 1);
  assert.equal(bench.files.counts.failures, 1);
});

Deno.test("files replaced by others of the same name are seen, whatever their times say", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const renewed = await issue();
  bench.writePair(renewed);
  for (const name of ["x.pem", "x.key"]) Deno.utimeSync(bench.path(name), new Date(0), new Date(0));
  await bench.files.check();
  assert.equal(bench.serving(), text(renewed));
});

Deno.test("a write that leaves no trace, just after the files were taken, is seen", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const [first, second] = [await issue(), await issue()];
  // Padded to one length, and given one time: only a second look tells the one from the other.
  const write = ({ cert, key }: KeyPair) => {
    for (const [name, contents] of [["x.pem", cert.padEnd(2000)], ["x.key", key.padEnd(500)]] as const) {
      Deno.writeTextFileSync(bench.path(name), contents);
      Deno.utimeSync(bench.path(name), new Date(0), new Date(0));
    }
  };
  write(first);
  await bench.files.check();
  assert.equal(bench.serving(), text(first));
  write(second);
  await bench.poll(A_MOMENT);
  await bench.poll(A_MOMENT);
  assert.equal(bench.serving(), text(second));
});

Deno.test("the switch of a link to a folder renews both files in one step", async () => {
  await using bench = new Bench();
  const [old, renewed] = [await issue(), await issue()];
  for (const [name, { cert, key }] of [["1", old], ["2", renewed]] as const) {
    Deno.mkdirSync(bench.path(name));
    bench.write(`${name}/x.pem`, cert);
    bench.write(`${name}/x.key`, key);
  }
  // As Kubernetes lays out a volume: x.pem -> ..data/x.pem, ..data -> 1
  Deno.symlinkSync("1", bench.path("..data"));
  for (const name of ["x.pem", "x.key"]) Deno.symlinkSync(`..data/${name}`, bench.path(name));
  bench.files.add(bench.route(), ":443");
  assert.equal(bench.serving(), text(old));
  Deno.symlinkSync("2", bench.path("..data_tmp"));
  Deno.renameSync(bench.path("..data_tmp"), bench.path("..data"));
  await bench.poll(0);
  await bench.poll(A_MOMENT);
  assert.deepEqual([bench.serving(), await bench.logged()], [text(renewed), [RELOADED]]);
});

Deno.test("the end of a certificate is told from 14 days before it, once a day, and that it has come at once", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const at = async (time: number) => {
    bench.now = END.getTime() + time;
    await bench.files.poll();
    return bench.logged();
  };
  const about = `path=DIR/x.pem not_after=${END_TEXT} hostnames=a.example`;
  assert.deepEqual(await at(-14 * DAY_MS), []);
  const soon = (left: string) =>
    `warn certificate_expires_soon ${about} left="${left}" message="the certificate in use ends soon"`;
  const expired = `error certificate_expired ${about} message="the certificate in use has ended: clients refuse it"`;
  assert.deepEqual(await at(-13.5 * DAY_MS), [soon("13 days")]);
  assert.deepEqual(await at(-12.6 * DAY_MS), []);
  assert.deepEqual(await at(-12.5 * DAY_MS), [soon("12 days")]);
  assert.deepEqual(await at(-1), [soon("less than a day")]);
  assert.deepEqual(await at(1), [expired]);
  assert.deepEqual(await at(DAY_MS), []);
  assert.deepEqual(await at(1 + DAY_MS), [expired]);
  bench.writePair(await issue(new Date(END.getTime() + 80 * DAY_MS)));
  await bench.files.check();
  assert.equal((await bench.logged()).length, 1);
  assert.deepEqual(await at(3 * DAY_MS), []);
});

Deno.test("routes with the same files share a certificate, which is forgotten with the last of them", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  const other = await issue();
  bench.write("y.pem", other.cert);
  bench.write("y.key", other.key);
  const { files } = bench;
  for (const listener of [":443", ":444"]) files.add(bench.route(), listener);
  files.add(bench.route(), ":443"); // it is about to be replaced by another of the same certificate
  files.add(bench.route("b.example"), ":443");
  const apart = bench.route("c.example", { cert: "y.pem", key: "y.key" });
  bench.files.add(apart, ":443");
  bench.files.add({ ...bench.route("l4.example", { cert: "none.pem" }), mode: "l4" }, ":443");
  const listed = () => bench.files.status().map((status) => status.hostnames);
  assert.deepEqual(listed(), [["a.example", "b.example"], ["c.example"]]);
  const notAfter = END;
  assert.deepEqual(files.expiries(), [
    { listener: ":443", hostname: "a.example", notAfter },
    { listener: ":444", hostname: "a.example", notAfter },
    { listener: ":443", hostname: "b.example", notAfter },
    { listener: ":443", hostname: "c.example", notAfter },
  ]);
  for (const listener of [":443", ":444"]) assert.equal(files.remove(bench.route(), listener), false);
  assert.deepEqual(files.expiries().map(({ listener }) => listener), [":443", ":443", ":443"]);
  assert.equal(bench.files.remove(bench.route("b.example"), ":443"), false);
  assert.deepEqual(listed(), [["a.example"], ["c.example"]]);
  assert.equal(bench.files.remove({ ...bench.route(), mode: "l4" }, ":443"), false);
  assert.equal(bench.files.remove(bench.route(), ":443"), true);
  assert.equal(bench.files.remove(bench.route(), ":443"), false);
  assert.deepEqual([listed(), bench.serving(), bench.serving(apart)], [[["c.example"]], undefined, text(other)]);
});

Deno.test("another route of known files has them looked at: who adds it has just written them", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const renewed = await issue();
  bench.writePair(renewed);
  bench.files.add(bench.route("b.example"), ":443");
  assert.equal(bench.serving(), text(renewed));
  assert.deepEqual(bench.changed, [[certificateName(bench.route()), text(renewed)]]);
});

Deno.test("a certificate removed while its files are looked at is told of no more", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  bench.writePair(await issue());
  const checked = bench.files.check();
  await Promise.resolve(); // it has asked for the state of the files
  bench.files.remove(bench.route(), ":443");
  await checked;
  assert.deepEqual([bench.changed, bench.files.counts.reloads], [[], 0]);
});

Deno.test("a clock that is set back delays no renewal", async () => {
  await using bench = new Bench();
  bench.writePair(await issue());
  bench.files.add(bench.route(), ":443");
  const renewed = await issue();
  bench.writePair(renewed);
  await bench.poll(0);
  await bench.poll(-3_600_000);
  await bench.poll(A_MOMENT);
  assert.equal(bench.serving(), text(renewed));
});

Deno.test("many certificates are all looked at", async () => {
  await using bench = new Bench();
  const [old, renewed] = [await issue(), await issue()];
  const routes = Array.from({ length: 50 }, (_, i) => bench.route(`${i}`, { cert: `${i}.pem`, key: `${i}.key` }));
  const writeAll = ({ cert, key }: KeyPair) => {
    for (const i of routes.keys()) {
      bench.write(`${i}.pem`, cert);
      bench.write(`${i}.key`, key);
    }
  };
  writeAll(old);
  for (const route of routes) bench.files.add(route, ":443");
  writeAll(renewed);
  await bench.files.check();
  assert.deepEqual(bench.changed.map(([name]) => name), routes.map(certificateName));
  assert.ok(routes.every((route) => bench.serving(route) === text(renewed)));
});

Deno.test("once started, it looks again and again, until it is closed", async () => {
  await using bench = new Bench();
  let now = Date.now();
  const { promise: changed, resolve } = Promise.withResolvers<string>();
  const files = new CertificateFiles({
    log: new Log("error", "text"),
    events: { changed: (_, { cert, key }) => resolve(cert + key) },
    trial: () => undefined,
    now: () => now += 1_000,
    pollMs: 1,
  });
  bench.writePair(await issue());
  files.add(bench.route(), ":443");
  files.start();
  const renewed = await issue();
  bench.writePair(renewed);
  assert.equal(await changed, text(renewed));
  files.close();
  await files.poll(); // behind one under way
});

Deno.test("a fault of a look is logged, and does not keep it from looking again", async () => {
  await using bench = new Bench();
  let now = Date.now();
  const lines: string[] = [];
  const { promise: changed, resolve } = Promise.withResolvers<string>();
  const faults = [new Error("a fault"), new Error("another")];
  const files = new CertificateFiles({
    log: new Log("error", "text", {
      write(bytes) {
        lines.push(new TextDecoder().decode(bytes));
        return Promise.resolve(bytes.length);
      },
    }),
    events: {
      changed(_, { cert, key }) {
        const fault = faults.shift();
        if (fault !== undefined) throw fault;
        resolve(cert + key);
      },
    },
    trial: () => undefined,
    now: () => now += 1_000,
    pollMs: 1,
  });
  const write = async (pair: KeyPair) => {
    bench.writePair(pair);
    const before = faults.length;
    while (faults.length === before) await new Promise((resolve) => setTimeout(resolve));
  };
  bench.writePair(await issue());
  files.add(bench.route(), ":443");
  files.start();
  await write(await issue());
  await write(await issue());
  const last = await issue();
  bench.writePair(last);
  assert.equal(await changed, text(last));
  files.close();
  await files.poll();
  assert.deepEqual(lines.join("").match(/internal_error method=certificates stack="Error: a\w* ?\w*/g), [
    'internal_error method=certificates stack="Error: a fault',
    'internal_error method=certificates stack="Error: another',
  ]);
});

Deno.test("a renewed certificate that clients may refuse is warned of once, for all its routes", async () => {
  await using bench = new Bench();
  bench.writePair(await authority.issue({ hostnames: ["a.example"] }));
  for (const hostname of ["a.example", "b.example"]) bench.files.add(bench.route(hostname), ":443");
  assert.deepEqual(await bench.logged(), []); // a start checks its files itself
  const { cert, key } = await authority.issue({ hostnames: ["a.example"] });
  bench.writePair({ cert: cert.replace(authority.cert, ""), key });
  for (const ms of [A_MOMENT, A_MOMENT, A_WHILE]) await bench.poll(ms);
  await bench.files.check();
  const warnings = (await bench.logged()).filter((line) => line.includes("certificate_warning"));
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.match(warnings[0] ?? "", /^WARN .*hostnames="a\.example, b\.example"/i);
  assert.match(
    warnings[0] ?? "",
    /does not cover \\"b\.example\\".*; its chain does not lead to a root: \\"Test authority\\"/,
  );
  bench.writePair(await authority.issue({ hostnames: ["*.example"] }));
  for (const ms of [A_MOMENT, A_MOMENT]) await bench.poll(ms);
  assert.deepEqual((await bench.logged()).filter((line) => !line.includes("certificate_reloaded")), []);
});

Deno.test("what a start has found of files is not read or tried again, unless they have changed since", async () => {
  await using bench = new Bench();
  let trials = 0;
  bench.trial = () => {
    trials++;
    return undefined;
  };
  const [first, second] = [await issue(), await issue()];
  bench.writePair(first);
  bench.write("y.pem", first.cert);
  bench.write("y.key", "broken");
  const readings = new CertificateReadings((certificate) => bench.trial(certificate));
  const broken = bench.route("b.example", { cert: "y.pem", key: "y.key" });
  for (const { tlsCert: certFile, tlsKey: keyFile } of [bench.route(), bench.route(), broken]) {
    readings.read({ certFile, keyFile });
  }
  assert.equal(trials, 1);
  for (const route of [bench.route(), broken]) bench.files.add(route, ":443", readings);
  assert.deepEqual([trials, bench.serving(), bench.serving(broken)], [1, text(first), undefined]);
  assert.match((await bench.logged()).join(), /certificate_reload_failed path=DIR\/y\.pem .*y\.key: is not PEM/);

  bench.writePair(second);
  bench.files.remove(bench.route(), ":443");
  bench.files.add(bench.route(), ":443", readings);
  assert.deepEqual([trials, bench.serving()], [2, text(second)]);
});
