import assert from "node:assert/strict";
import { GeoIp } from "../rules/geoip.ts";
import { buildMmdb } from "../rules/testdata/build_mmdb.ts";
import { ipv4 } from "../wire/ip_address.ts";
import { GeoipFile, type GeoipStatus } from "./geoip_file.ts";
import { Log } from "./log.ts";

const CLIENT = ipv4(192, 0, 2, 1);

function fileOf(country: string, buildEpoch: number): Uint8Array<ArrayBuffer> {
  return buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: country } } }], { buildEpoch });
}

/** Runs `use` with a GeoIP file in use, its path, and what is logged: `error geoip_reload_failed …`. */
async function withFile(use: (geoip: GeoipFile, path: string, reload: Reload) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/geo.mmdb`;
  try {
    Deno.writeFileSync(path, fileOf("NL", 1_700_000_000));
    const { file: geoip } = GeoipFile.open(path);
    await use(geoip, path, async (file = geoip) => {
      const lines: string[] = [];
      const log = new Log("info", "text", {
        write(bytes) {
          lines.push(...new TextDecoder().decode(bytes).replaceAll(path, "FILE").trimEnd().split("\n"));
          return Promise.resolve(bytes.length);
        },
      });
      const bytes = file.reload(log);
      await log.flush();
      assert.equal(lines.length, 1);
      return { bytes, line: lines.join().replace(/^\S+ /, "") };
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function statusOf({ status }: GeoipFile): GeoipStatus {
  assert.ok(status !== undefined);
  return status;
}

type Reload = (file?: GeoipFile) => Promise<{ readonly bytes: Uint8Array | undefined; readonly line: string }>;

Deno.test("the file that is there at the start is in use, and told of", async () => {
  await withFile((geoip, path) => {
    assert.equal(GeoIp.open(GeoipFile.open(path).bytes ?? new Uint8Array()).country(CLIENT), "NL");
    const { builtAt, loadedAt, ...rest } = statusOf(geoip);
    assert.deepEqual(rest, { path, reloadFailures: 0 });
    assert.equal(builtAt.getTime(), 1_700_000_000_000);
    assert.ok(Math.abs(Date.now() - loadedAt.getTime()) < 600_000);
  });
});

Deno.test("a sound new file takes its place", async () => {
  await withFile(async (geoip, path, reload) => {
    const before = statusOf(geoip).loadedAt;
    Deno.writeFileSync(path, fileOf("CH", 1_800_000_000));
    const { bytes, line } = await reload();
    assert.ok(bytes);
    assert.equal(GeoIp.open(bytes).country(CLIENT), "CH");
    const message = 'message="countries are told by the new database"';
    assert.equal(line, `info geoip_reloaded path=FILE built_at=2027-01-15T08:00:00.000Z ${message}`);
    assert.deepEqual([statusOf(geoip).builtAt.getTime(), statusOf(geoip).reloadFailures], [1_800_000_000_000, 0]);
    assert.ok(statusOf(geoip).loadedAt >= before);
  });
});

Deno.test("a file that cannot be used leaves the one before in use; each time is counted and logged", async () => {
  await withFile(async (geoip, path, reload) => {
    const before = statusOf(geoip);
    const sound = fileOf("CH", 1_800_000_000);
    const broken: readonly (readonly [what: string, make: () => void, line: RegExp])[] = [
      [
        "cut short",
        () => Deno.writeFileSync(path, sound.slice(0, sound.length / 2)),
        /not a MaxMind DB file, or cut short/,
      ],
      ["overwritten", () => Deno.writeFileSync(path, sound.slice().fill(0xff, 10, 60)), /corrupt MaxMind DB file/],
      ["empty", () => Deno.writeTextFileSync(path, ""), /not a MaxMind DB file/],
      [
        "without countries",
        () => Deno.writeFileSync(path, buildMmdb([{ cidr: "192.0.2.0/24", record: { asn: 1 } }])),
        /without countries/,
      ],
      ["gone", () => Deno.removeSync(path), /error="does not exist"/],
      ["a folder", () => Deno.mkdirSync(path), /error="is a folder, not a file"/],
      ["a pipe", () => makePipe(path), /error="is no regular file"/],
    ];
    for (const [i, [what, make, expected]] of broken.entries()) {
      make();
      const { bytes, line } = await reload();
      assert.equal(bytes, undefined);
      assert.match(
        line,
        /^error geoip_reload_failed path=FILE error=".*" message="the one before stays in use"$/,
        what,
      );
      assert.match(line, expected, what);
      assert.deepEqual(statusOf(geoip), { ...before, reloadFailures: i + 1 }, what);
    }
    Deno.removeSync(path);
    Deno.writeFileSync(path, sound);
    assert.ok((await reload()).bytes);
    assert.deepEqual([statusOf(geoip).builtAt.getTime(), statusOf(geoip).reloadFailures], [
      1_800_000_000_000,
      broken.length,
    ]);
  });
});

Deno.test("without a sound file at the start nothing is in use, until a reload finds one", async () => {
  await withFile(async (_, path, reload) => {
    for (const make of [() => Deno.writeTextFileSync(path, "not a database"), () => Deno.removeSync(path)]) {
      make();
      const { file, bytes } = GeoipFile.open(path);
      assert.deepEqual([file.status, bytes], [undefined, undefined]);
    }
    const { file } = GeoipFile.open(path);
    assert.deepEqual([(await reload(file)).bytes, file.status], [undefined, undefined]);
    Deno.writeFileSync(path, fileOf("CH", 1_800_000_000));
    assert.ok((await reload(file)).bytes);
    assert.equal(statusOf(file).builtAt.getTime(), 1_800_000_000_000);
  });
});

function makePipe(path: string): void {
  Deno.removeSync(path);
  assert.ok(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
}
