import assert from "node:assert/strict";
import type { Command } from "commander";
import manifest from "../../deno.json" with { type: "json" };
import { DatabaseSync } from "node:sqlite";
import { parseConfig, type StoredState } from "../control/config.ts";
import { SCHEMA_VERSION } from "../control/store/migrations.ts";
import { Store } from "../control/store/store.ts";
import { main, makeProgram } from "./main.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process; file names come back without their folder. */
async function run(...args: string[]): Promise<Run> {
  let out = "";
  let err = "";
  const code = await main(args, { output: { out: (text) => out += text, err: (text) => err += text } });
  return { code, out: out.replaceAll(folder, "DIR"), err: err.replaceAll(folder, "DIR") };
}

function writeConfig(name: string, text: string): string {
  const file = `${folder}/${name}`;
  Deno.writeTextFileSync(file, text);
  return file;
}

const SOUND = `
database.path = "x.db"
[[listeners]]
addr = ":443"
routes = [{ hostname = "a", backend = "b:1" }, { hostname = "*", backend = "c:1" }]
[[listeners]]
addr = ":444"
routes = []
`;

Deno.test("check says what a sound file holds", async () => {
  const file = writeConfig("sound.toml", SOUND);
  assert.deepEqual(await run("check", "-c", file), {
    code: 0,
    out: "DIR/sound.toml: OK (2 listeners, 2 routes)\n",
    err: "",
  });
});

Deno.test("check warns of what has no effect, and still passes", async () => {
  const file = writeConfig(
    "warn.toml",
    `database.path = "x.db"
    grpc.addr = "/x.sock"
    [[listeners]]
    addr = ":443"
    routes = [{ hostname = "a", backend = "b:1", backend_tls = true }]`,
  );
  assert.deepEqual(await run("check", "--config", file), {
    code: 0,
    out: "DIR/warn.toml: OK (1 listener, 1 route)\n",
    err: [
      'DIR/warn.toml: line 5: listeners[0].routes[0].backend_tls (a): warning: has no effect where mode is "l4"',
      "",
    ].join("\n"),
  });
});

Deno.test("check prints every problem on a line of its own and nothing else", async () => {
  const file = writeConfig("bad.toml", '[database]\npath = "x.db"\n[log]\nlevel = "loud"\n[proxy]\nworkers = -1\n');
  assert.deepEqual(await run("check", "-c", file), {
    code: 1,
    out: "",
    err: [
      "DIR/bad.toml: line 6: proxy.workers: expected a whole number from 0 to 1024, got -1",
      'DIR/bad.toml: line 4: log.level: expected "debug", "info", "warn" or "error", got "loud"',
      "DIR/bad.toml: listeners: there is none, in the file or the database; add at least one",
      "",
    ].join("\n"),
  });
  assert.deepEqual(await run("check", "-c", `${folder}/none.toml`), {
    code: 1,
    out: "",
    err: "DIR/none.toml: does not exist\n",
  });
});

Deno.test("check and a start refuse a file without a listener, and say what to add", async () => {
  const file = writeConfig("bare-file.toml", 'database.path = "none.db"\n');
  const err = "DIR/bare-file.toml: listeners: there is none, in the file or the database; add at least one\n";
  for (const command of ["check", "server"]) {
    assert.deepEqual(await run(command, "-c", file), { code: 1, out: "", err }, command);
  }
  assert.throws(() => Deno.statSync(`${folder}/none.db`), Deno.errors.NotFound);
});

Deno.test("check refuses what the server would refuse, with the files that are not there", async () => {
  const file = writeConfig(
    "refused.toml",
    `database.path = "none/x.db"
    [[listeners]]
    addr = ":443"
    routes = [{ hostname = "a", backend = "b:1", mode = "l7", tls_cert = "none.pem", tls_key = "refused.toml" }]`,
  );
  assert.deepEqual(await run("check", "-c", file), {
    code: 1,
    out: "",
    err: [
      "DIR/refused.toml: line 1: database.path: DIR/none/x.db: its folder DIR/none does not exist",
      "DIR/refused.toml: line 4: listeners[0].routes[0].tls_cert (a): DIR/none.pem: does not exist",
      'DIR/refused.toml: line 4: listeners[0].routes[0].tls_key (a): DIR/refused.toml: is not PEM: it has no "-----BEGIN " line',
      "",
    ].join("\n"),
  });
});

Deno.test("check refuses addresses that cannot be bound together, and names both", async () => {
  const both = (second: string, first: string, path: string, shared: string) =>
    `DIR/together.toml: line ${
      path === "metrics.addr" ? 3 : 2
    }: ${path}: "${second}" cannot be bound together with "${first}" of listeners[0].addr: both take ` +
    `port 8443 of ${shared}; remove one of them, or give one another port\n`;
  const cases: readonly (readonly [first: string, second: string, metrics: string, err: string])[] = [
    [":8443", "0.0.0.0:8443", ":9090", both("0.0.0.0:8443", ":8443", "listeners[1].addr", "every IPv4 address")],
    ["[::1]:8443", "[::]:8443", ":9090", both(":8443", "[::1]:8443", "listeners[1].addr", "::1")],
    [":8443", ":8444", "127.0.0.1:8443", both("127.0.0.1:8443", ":8443", "metrics.addr", "127.0.0.1")],
    ["127.0.0.1:8443", "[::1]:8443", "127.0.0.2:8443", ""],
  ];
  for (const [first, second, metrics, err] of cases) {
    const file = writeConfig(
      "together.toml",
      `database.path = "x.db"
      listeners = [{ addr = "${first}" }, { addr = "${second}" }]
      metrics.addr = "${metrics}"`,
    );
    const result = await run("check", "-c", file);
    assert.deepEqual([result.code, result.err], [err === "" ? 0 : 1, err]);
  }
});

Deno.test("check looks at what the database holds, which counts where there is one, and leaves it as it was", async () => {
  const { config } = parseConfig('database.path = "x"\n[[listeners]]\naddr = ":8443"', { file: "/c.toml" });
  const make = (name: string, change?: (db: DatabaseSync) => void, seed: StoredState = config) => {
    const store = Store.open(`${folder}/${name}.db`);
    store.prepare(seed);
    store.commit();
    store.close();
    using db = new DatabaseSync(`${folder}/${name}.db`);
    change?.(db);
  };
  const errorsOf = async (name: string, more = "", listener = '[[listeners]]\naddr = ":443"') => {
    const names = () => [...Deno.readDirSync(folder)].map((each) => each.name).sort();
    const file = writeConfig(`${name}.toml`, `database.path = "${name}.db"\n${listener}\n${more}`);
    const before = [names(), Deno.readFileSync(`${folder}/${name}.db`)];
    const { code, err } = await run("check", "-c", file);
    assert.deepEqual([names(), Deno.readFileSync(`${folder}/${name}.db`)], before);
    assert.equal(code, err === "" || /^\S+: (?:.*: )?warning: [^\n]*\n$/.test(err) ? 0 : 1, err);
    return err.replaceAll(`DIR/${name}`, "DIR/x");
  };
  const differs = (counts: string) =>
    "DIR/x.toml: warning: the database DIR/x.db has other listeners, routes or firewall rules, and those are used; " +
    `the file has ${counts}: "mc-proxy apply -c DIR/x.toml --prune --dry-run" shows them\n`;
  make("sound");
  assert.equal(await errorsOf("sound", "", '[[listeners]]\naddr = ":8443"'), "");
  assert.equal(await errorsOf("sound"), differs("1 more, 1 fewer and 0 that differ"));
  assert.equal(
    await errorsOf(
      "sound",
      "firewall.blocked_ips = ['192.0.2.1']",
      "listeners = [{ addr = ':8443', max_connections = 5 }]",
    ),
    differs("1 more, 0 fewer and 1 that differ"),
  );
  assert.equal(
    await errorsOf("sound", 'grpc.addr = "/x.sock"', ""), // the listeners of the database are enough
    differs("0 more, 1 fewer and 0 that differ").replace(
      '"mc',
      '"mc-proxy ctl diff DIR/x.toml" or, while no server runs, "mc',
    ),
  );
  assert.equal(
    await errorsOf("sound", 'metrics.addr = "127.0.0.1:8443"', ""),
    'DIR/x.toml: line 3: metrics.addr: "127.0.0.1:8443" cannot be bound together with ":8443" of the database DIR/x.db: ' +
      "both take port 8443 of 127.0.0.1; remove one of them, or give one another port\n",
  );
  make(
    "newer",
    (db) => db.exec("INSERT INTO schema_migrations SELECT 999, name, applied_at FROM schema_migrations LIMIT 1"),
  );
  assert.equal(
    await errorsOf("newer"),
    `DIR/x.toml: line 1: database.path: DIR/x.db: has schema version 999, newer than this program's ${SCHEMA_VERSION}; ` +
      "run a newer mc-proxy, or restore an older snapshot\n",
  );
  make("bare", (db) => db.exec("DELETE FROM listeners"));
  assert.equal(
    await errorsOf("bare"),
    "DIR/x.toml: line 2: listeners: those of the file are not used, and the database DIR/x.db has none; " +
      "run mc-proxy apply -c DIR/x.toml\n",
  );
  assert.equal(
    await errorsOf("bare", "", ""),
    "DIR/x.toml: listeners: there is none, in the file or the database; add at least one\n",
  );
  make("foreign", (db) => db.exec("PRAGMA application_id = 1"));
  assert.equal(
    await errorsOf("foreign"),
    "DIR/x.toml: line 1: database.path: DIR/x.db: is a database of another program; set database.path to another file\n",
  );
  // Whatever page it is that was overwritten; migrations leave pages without content, which may hold anything.
  make("corrupt", (db) => db.exec("VACUUM"));
  const octets = Deno.readFileSync(`${folder}/corrupt.db`);
  for (let page = 1; page * 4096 < octets.length; page++) {
    Deno.writeFileSync(`${folder}/corrupt.db`, octets.slice().fill(0xa5, page * 4096, (page + 1) * 4096));
    assert.equal(
      await errorsOf("corrupt"),
      "DIR/x.toml: line 1: database.path: DIR/x.db: is corrupt; restore a snapshot\n",
      `page ${page}`,
    );
  }
  Deno.writeFileSync(`${folder}/corrupt.db`, octets.subarray(0, 5000));
  assert.match(await errorsOf("corrupt"), /is corrupt; restore a snapshot\n$/);
});

Deno.test("check says of a database that lost a part what to do, not what SQLite says", async () => {
  const lacks = "lacks a part of its schema, which another program must have removed; restore a snapshot";
  const page =
    "is not a SQLite database, or its first page is damaged; set database.path to another file, or restore a " +
    "snapshot";
  const overwrite = (at: number, ...bytes: number[]) => (path: string) => {
    const octets = Deno.readFileSync(path);
    octets.set(bytes, at);
    Deno.writeFileSync(path, octets);
  };
  const execute = (sql: string) => (path: string) => {
    using db = new DatabaseSync(path);
    db.exec(sql);
  };
  const cases: readonly (readonly [name: string, spoil: (path: string) => void, reason: string])[] = [
    [
      "no version",
      execute("DELETE FROM schema_migrations"),
      "does not say which version its schema has; restore a snapshot",
    ],
    ["no versions", execute("DROP TABLE schema_migrations"), lacks],
    ["no routes", execute("DROP TABLE routes"), lacks],
    [
      "no column",
      execute("DROP TABLE firewall_rules; CREATE TABLE firewall_rules (type TEXT)"),
      lacks,
    ],
    ["text", (path) => Deno.writeTextFileSync(path, "hello"), page],
    ["magic alone", (path) => Deno.writeTextFileSync(path, "SQLite format 3\0garbage"), page],
    ["page size", overwrite(16, 0, 3), page],
    ["format version", overwrite(18, 9, 9), page],
    ["schema page", overwrite(100, ...new Array(3000).fill(0xff)), "is corrupt; restore a snapshot"],
    ["cut short", (path) => Deno.truncateSync(path, 5000), "is corrupt; restore a snapshot"],
  ];
  for (const [name, spoil, reason] of cases) {
    const path = `${folder}/spoilt.db`;
    const file = writeConfig("spoilt.toml", 'database.path = "spoilt.db"\n[[listeners]]\naddr = ":443"');
    const store = Store.open(path);
    store.prepare(parseConfig(Deno.readTextFileSync(file), { file }).config);
    store.commit();
    store.close();
    spoil(path);
    const expected = `DIR/spoilt.toml: line 1: database.path: DIR/spoilt.db: ${reason}\n`;
    assert.deepEqual(await run("check", "-c", file), { code: 1, out: "", err: expected }, name);
    const started = await run("server", "-c", file);
    assert.equal(started.code, 1, name);
    assert.ok(started.err.endsWith(`DIR/spoilt.db: ${reason}\n`), `${name}: ${started.err}`);
    Deno.removeSync(path);
  }
});

Deno.test("check says of a database that was removed, or emptied, that a start makes a new one", async () => {
  const file = writeConfig("gone.toml", 'database.path = "gone.db"\n[[listeners]]\naddr = ":443"');
  const path = `${folder}/gone.db`;
  const warned = (remains: string) => ({
    code: 0,
    out: "DIR/gone.toml: OK (1 listener, 0 routes)\n",
    err:
      `DIR/gone.toml: line 1: database.path: warning: DIR/gone.db: is missing or empty, though DIR/gone.db${remains} ` +
      "says that a server had one; put it back, or a snapshot of it: a start without it makes a new one from the file\n",
  });
  Deno.writeTextFileSync(`${path}.lock`, "");
  assert.deepEqual(await run("check", "-c", file), warned(".lock"));
  Deno.writeTextFileSync(`${path}-wal`, "changes");
  assert.deepEqual(await run("check", "-c", file), warned("-wal"));
  Deno.writeTextFileSync(path, "");
  assert.deepEqual(await run("check", "-c", file), warned("-wal"));
  assert.equal(Deno.readTextFileSync(`${path}-wal`), "changes");
});

Deno.test("check and a start refuse what is no file, and do not wait for it", async () => {
  const path = `${folder}/special.db`;
  const file = writeConfig("special.toml", 'database.path = "special.db"\n[[listeners]]\naddr = ":443"');
  const make = {
    link: () => Deno.symlinkSync("nowhere.db", path),
    folder: () => Deno.mkdirSync(path),
    pipe: () => assert.ok(new Deno.Command("mkfifo", { args: [path] }).outputSync().success),
  };
  const reasons = {
    link: "is a symbolic link to nowhere.db, which does not exist; put that back, or remove the link",
    folder: "is a folder, not a file",
    pipe: "is no regular file",
  };
  for (const kind of ["link", "folder", "pipe"] as const) {
    make[kind]();
    const err = `DIR/special.toml: line 1: database.path: DIR/special.db: ${reasons[kind]}\n`;
    for (const command of ["check", "server"]) {
      assert.deepEqual(await run(command, "-c", file), { code: 1, out: "", err }, `${command}: ${kind}`);
    }
    Deno.removeSync(path);
  }
});

Deno.test("check tells mistakes in the file and what is wrong with the files that it names in one run", async () => {
  const file = writeConfig(
    "both.toml",
    `database.path = "none/x.db"
    firewall.geoip_db = "none.mmdb"
    firewall.rate_limit = -1
    grpc = { addr = "x.sock", group = "no-such-group", mode = "0660" }
    listeners = [
      { addr = "nowhere", routes = [
        { hostname = "a", backend = "b", mode = "l7", tls_cert = "none.pem", tls_key = "none.key", backnd_tls = true },
        { hostname = "b", backend = "b:1", mode = "l7", tls_key = "none.key" },
        7,
        { hostname = "c", backend = "c:1", mode = "l7", tls_cert = "c.pem", tls_key = "c.key", backend_ca = "ca.pem", backend_tls = true },
      ] },
    ]`,
  );
  const { code, out, err } = await run("check", "-c", file);
  assert.deepEqual([code, out], [1, ""]);
  const lines = err.trimEnd().split("\n").map((line) => line.replace(/^DIR\/both\.toml: (?:line \d+: )?/, ""));
  const pathsOf = (some: readonly string[]) => some.map((line) => line.split(/[: ]/, 1)[0]).sort();
  const isOfFile = (line: string) => /does not exist|is no group/.test(line);
  assert.deepEqual(pathsOf(lines.filter((line) => !isOfFile(line))), [
    "firewall.rate_limit",
    "grpc.addr",
    "listeners[0].addr",
    "listeners[0].routes[0].backend",
    "listeners[0].routes[0].backnd_tls",
    "listeners[0].routes[1].tls_cert",
    "listeners[0].routes[2]",
  ]);
  assert.deepEqual(pathsOf(lines.filter(isOfFile)), [
    "database.path",
    "firewall.geoip_db",
    "grpc.group",
    "listeners[0].routes[0].tls_cert",
    "listeners[0].routes[0].tls_key",
    "listeners[0].routes[1].tls_key",
    "listeners[0].routes[3].backend_ca",
    "listeners[0].routes[3].tls_cert",
    "listeners[0].routes[3].tls_key",
  ]);
  assert.ok(!err.includes("missing."), "nothing is said of what stands in for what is missing");
});

Deno.test("check makes no database", async () => {
  const file = writeConfig("traceless.toml", 'database.path = "traceless.db"\n[[listeners]]\naddr = ":443"');
  assert.equal((await run("check", "-c", file)).code, 0);
  await assert.rejects(Deno.stat(`${folder}/traceless.db`), Deno.errors.NotFound);
});

Deno.test("snapshot copies the database and says where to, and how much", async () => {
  const file = writeConfig("snap.toml", 'database.path = "snap.db"');
  const store = Store.open(`${folder}/snap.db`);
  store.prepare(parseConfig('database.path = "x"', { file }).config);
  store.commit();
  store.close();
  const named = await run("snapshot", "-c", file, "-o", `${folder}/named.db`);
  const { size } = await Deno.stat(`${folder}/named.db`);
  assert.deepEqual(named, { code: 0, out: `DIR/named.db (${size} bytes)\n`, err: "" });
  assert.deepEqual(await run("snapshot", "-c", file, "--out", `${folder}/named.db`), {
    code: 1,
    out: "",
    err: "DIR/named.db: exists already; name a new file\n",
  });
  const unnamed = await run("snapshot", "-c", file);
  assert.match(unnamed.out, /^DIR\/snap-\d{8}T\d{6}Z\.db \(\d+ bytes\)\n$/);
});

Deno.test("snapshot puts the copy into a folder, and removes those that are older than the days to keep", async () => {
  const file = writeConfig("kept.toml", 'database.path = "kept.db"');
  const store = Store.open(`${folder}/kept.db`);
  store.prepare(parseConfig('database.path = "x"', { file }).config);
  store.commit();
  store.close();
  const backups = `${folder}/backups`;
  Deno.mkdirSync(`${backups}/kept-20010101T000000Z.db`, { recursive: true }); // a folder of that name
  const others = ["kept-20010101T000000Z.db-wal", "kept.db", "keptx-20010101T000000Z.db", "kept-20010101.db", "notes"];
  const old = ["kept-20010102T000000Z.db", "kept-20010103T000000Z.db"];
  for (const name of [...others, ...old]) Deno.writeTextFileSync(`${backups}/${name}`, "x");
  const { code, out, err } = await run("snapshot", "-c", file, "-o", backups, "--keep-days", "30");
  assert.deepEqual([code, err], [0, ""]);
  assert.match(
    out,
    /^DIR\/backups\/kept-\d{8}T\d{6}Z\.db \(\d+ bytes\)\n(DIR\/backups\/kept-2001010[23]T000000Z\.db removed\n){2}$/,
  );
  const left = Array.from(Deno.readDirSync(backups), ({ name }) => name);
  assert.deepEqual(left.filter((name) => others.includes(name)).sort(), others.sort());
  assert.deepEqual(left.filter((name) => old.includes(name)), []);
  assert.equal(left.length, others.length + 2, "the folder and the new snapshot are there");
});

Deno.test("a snapshot that fails removes nothing", async () => {
  const file = writeConfig("failing.toml", 'database.path = "failing.db"');
  const old = `${folder}/failing-20010101T000000Z.db`;
  Deno.writeTextFileSync(old, "x");
  assert.equal((await run("snapshot", "-c", file, "--keep-days", "1")).code, 1);
  assert.ok(Deno.statSync(old).isFile);
  const wrong = await run("snapshot", "-c", file, "--keep-days", "0");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--keep-days.*whole number from 1 to 99999/);
});

Deno.test("snapshot makes neither a database nor a copy where there is none", async () => {
  const file = writeConfig("nosnap.toml", 'database.path = "nosnap.db"');
  assert.deepEqual(await run("snapshot", "-c", file), {
    code: 1,
    out: "",
    err: "DIR/nosnap.db: does not exist; the server makes it when it first starts\n",
  });
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name.includes("nosnap")), ["nosnap.toml"]);
});

Deno.test("version names the program and what it runs on", async () => {
  const { code, out, err } = await run("version");
  assert.match(
    out,
    new RegExp(`^mc-proxy ${manifest.version} \\(commit ([0-9a-f]{12}|unknown), deno [\\d.]+, v8 \\S+, [\\w-]+\\)\\n$`),
  );
  assert.deepEqual({ code, err }, { code: 0, err: "" });
  assert.equal((await run("--version")).out, out);
});

Deno.test("a wrong command line is told in two lines and exits with 2", async () => {
  for (
    const [args, message, help] of [
      [[], "no command given", "mc-proxy --help"],
      [["--bogus"], "unknown option '--bogus'", "mc-proxy --help"],
      [["chekc"], "unknown command 'chekc' (Did you mean check?)", "mc-proxy --help"],
      [["a\x1b[31m"], "unknown command 'a\\u001b[31m'", "mc-proxy --help"],
      [["check"], "required option '-c, --config <file>' not specified", "mc-proxy check --help"],
      [["server"], "required option '-c, --config <file>' not specified", "mc-proxy server --help"],
      [["server", "-c", "x", "--drain", "5s"], "--drain goes with --takeover", "mc-proxy server --help"],
      [
        ["server", "-c", "x", "--takeover", "--drain", "5"],
        'option \'--drain <duration>\' argument \'5\' is invalid. Write for example "30s", "10m" or "2h".',
        "mc-proxy server --help",
      ],
      [["snapshot", "-c"], "option '-c, --config <file>' argument missing", "mc-proxy snapshot --help"],
      [["check", "-c", "x", "--no"], "unknown option '--no'", "mc-proxy check --help"],
      [
        ["version", "x"],
        "too many arguments for 'version'. Expected 0 arguments but got 1: x.",
        "mc-proxy version --help",
      ],
    ] as const
  ) {
    assert.deepEqual(await run(...args), { code: 2, out: "", err: `mc-proxy: ${message}\nTry "${help}".\n` }, message);
  }
});

Deno.test("every command has help, on standard output, with an example for those that take a file", async () => {
  const help = await run("--help");
  assert.equal(help.code, 0);
  for (const command of ["server", "check", "snapshot", "version"]) {
    assert.match(help.out, new RegExp(`^  ${command} `, "m"));
    const { code, out, err } = await run(command, "--help");
    assert.deepEqual({ code, err }, { code: 0, err: "" });
    assert.ok(out.startsWith(`Usage: mc-proxy ${command} [options]\n`), out);
    assert.equal(out, (await run("help", command)).out);
    if (command !== "version") assert.ok(out.includes(`\n  mc-proxy ${command} -c /srv/mc-proxy/config.toml`), out);
  }
});

/** Every command, by the words that lead to it. */
function paths(command: Command, path: readonly string[] = []): (readonly string[])[] {
  return [path, ...command.commands.flatMap((each) => paths(each, [...path, each.name()]))];
}

for (const name of ["mc-proxy", "mcproxyctl"] as const) {
  Deno.test(`every command of ${name} has help with examples of its own, in 80 columns`, async () => {
    const silent = { out: () => {}, err: () => {} };
    const commands = paths(makeProgram(name, silent, () => {}));
    assert.ok(commands.length >= 16);
    for (const path of commands) {
      let out = "";
      const output = { out: (text: string) => out += text, err: (text: string) => out += text };
      assert.equal(await main([...path, "--help"], { output, name }), 0);
      assert.ok(out.startsWith(`Usage: ${[name, ...path].join(" ")} `), out);
      const [, ...lines] = out.split("\n"); // behind the usage, which "mc-proxy mcproxyctl" makes longer
      for (const line of lines) assert.ok(line.length <= 80, line);
      if (path.length > 0) assert.ok(!out.includes("--version"), "which is the program's alone");
      const [, examples = ""] = out.split(/\nExamples?:\n/);
      assert.ok(examples.includes(`  ${[name, ...path].join(" ")}`), out);
    }
  });
}

Deno.test("mcproxyctl is ctl, and names itself so", async () => {
  let err = "";
  const output = { out: () => {}, err: (text: string) => err += text };
  assert.equal(await main([], { output, name: "mcproxyctl" }), 2);
  assert.equal(await main(["server"], { output, name: "mcproxyctl" }), 2);
  assert.equal(await main(["health", "--addr", "x/"], { output, name: "mcproxyctl" }), 1);
  assert.equal(
    err,
    'mcproxyctl: no command given\nTry "mcproxyctl --help".\n' +
      "mcproxyctl: unknown command 'server'\nTry \"mcproxyctl --help\".\n" +
      `mcproxyctl: no admin API at ${Deno.cwd()}/x (is the server running?)\n`,
  );
});

Deno.test("an error of the program's own is one line, and has its stack where the log level is debug", async () => {
  const failing = (text: string) => {
    throw new TypeError(`cannot\nprint ${text.length}`);
  };
  const fail = async (debug: boolean) => {
    let err = "";
    const code = await main(["version"], { output: { out: failing, err: (text) => err += text }, debug });
    assert.equal(code, 1);
    return err;
  };
  assert.match(await fail(false), /^mc-proxy: unexpected error: TypeError: cannot\\u000aprint \d+ \(.*\)\n$/);
  assert.match(await fail(true), /main_test\.ts:\d+/);
});

/** The program as a process, with these Deno permissions and variables only. */
function command(permissions: readonly string[], args: readonly string[], env: Record<string, string> = {}) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, `${ROOT}main.ts`, ...args],
    env,
    stdout: "piped",
    stderr: "piped",
  });
}

async function runProcess(...parameters: Parameters<typeof command>): Promise<Run> {
  const { code, stdout, stderr } = await command(...parameters).output();
  const text = (octets: Uint8Array) => new TextDecoder().decode(octets).replaceAll(folder, "DIR");
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("as a process, version and usage errors need no permission and check may only read", async () => {
  const file = writeConfig("process.toml", SOUND);
  const [version, check, bogus] = await Promise.all([
    runProcess([], ["version"]),
    runProcess(["--allow-read"], ["check", "-c", file]),
    runProcess([], ["--bogus"]),
  ]);
  assert.deepEqual(bogus, await run("--bogus"));
  const { out } = await run("version");
  assert.deepEqual(version, { code: 0, out: out.replace(/commit \w+/, "commit unknown"), err: "" });
  assert.deepEqual(check, { code: 0, out: "DIR/process.toml: OK (2 listeners, 2 routes)\n", err: "" });
});

Deno.test("as a process, it heeds its environment as far as it may read it", async () => {
  const file = writeConfig("environment.toml", SOUND);
  const args = ["check", "-c", file];
  const environment = { MCPROXY_PROXY_WORKERS: "many", MCPROXY_PORT: "x" };
  const [all, one] = await Promise.all([
    runProcess(["--allow-read", "--allow-env"], args, { MCPROXY_PORT: "x" }),
    runProcess(["--allow-read", "--allow-env=MCPROXY_PROXY_WORKERS"], args, environment),
  ]);
  assert.equal(all.err, "DIR/environment.toml: MCPROXY_PORT: warning: is ignored: no key has this variable\n");
  assert.equal(
    one.err,
    'DIR/environment.toml: MCPROXY_PROXY_WORKERS: expected a whole number from 0 to 1024, got "many"\n',
  );
});

Deno.test("as a process, help that nobody reads ends quietly", async () => {
  const child = command([], ["--help"]).spawn();
  await child.stdout.cancel();
  const [stderr, { code }] = await Promise.all([new Response(child.stderr).text(), child.status]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
});
