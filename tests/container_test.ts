/** Dockerfile and config/compose.yaml, as far as they can be tried without a container engine. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { validate } from "dockerfile-utils";
import { parse as parseYaml } from "yaml";
import { administered } from "./harness/admin.ts";
import { compileBase, OTHER_TARGET, runCompile } from "./harness/compile.ts";
import { runProgram } from "./harness/proxy.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DOCKERFILE = Deno.readTextFileSync(`${ROOT}Dockerfile`);
/** Where the image has its configuration. */
const CONFIG = "/etc/mc-proxy/config.toml";

/** What the image is built of: the sources of the `COPY` lines that take them from the build's context. */
function copied(): string[] {
  return Array.from(DOCKERFILE.matchAll(/^COPY (?!--from)(.*) \S+$/gm), ([, sources = ""]) => sources.split(" "))
    .flat();
}

/** The words of an instruction that has them as a list. */
function words(instruction: RegExp): string[] {
  return JSON.parse(instruction.exec(DOCKERFILE)?.[1] ?? "null");
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isDirectory) {
    await Deno.mkdir(to, { recursive: true });
    for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
  } else {
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.copyFile(from, to);
  }
}

Deno.test("a Dockerfile's linter finds nothing in ours, and every image in it has a tag", () => {
  assert.deepEqual(validate(DOCKERFILE), []);
  const images = Array.from(DOCKERFILE.matchAll(/^FROM (?:--\S+ )?(\S+)/gm), ([, image]) => image);
  assert.equal(images.length, 2);
  for (const image of images) assert.match(image ?? "", /^[\w./-]+:(?!latest)[\w.-]+$/);
  assert.match(DOCKERFILE, new RegExp(`^FROM .*denoland/deno:${Deno.version.deno} `, "m"));
  assert.match(DOCKERFILE, /^USER nonroot$/m);
});

Deno.test({
  name: "what the Dockerfile copies is enough to compile the program (needs /bin/true of Linux)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    for (const source of copied()) await copy(ROOT + source, `${folder}/src/${source}`);
    const env = { DENORT_BIN: await compileBase(folder), MC_PROXY_COMMIT: "0123456789ab" };
    const made = await runCompile(
      ["--target", OTHER_TARGET, "--output", `${folder}/out/mc-proxy`],
      env,
      `${folder}/src`,
    );
    assert.deepEqual([made.code, made.stderr], [0, ""]);
    assert.match(made.stdout, /^version +[\d.]+, commit 0123456789ab, /m);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("what the Dockerfile copies passes .dockerignore", () => {
  const lines = Deno.readTextFileSync(`${ROOT}.dockerignore`).split("\n");
  assert.ok(lines.includes("*"));
  for (const source of copied()) {
    const [top = ""] = source.split("/");
    assert.ok(lines.includes(`!${top}`), `${top} is left out`);
    assert.ok(!lines.includes(source), `${source} is left out`);
  }
});

Deno.test("the image's health check tells a server that serves from one that does not", async () => {
  const [program, ...check] = words(/^HEALTHCHECK [^[]*(\[.*\])$/m);
  const entrypoint = words(/^ENTRYPOINT (.*)$/m);
  assert.deepEqual([program], entrypoint);
  assert.deepEqual(words(/^CMD (.*)$/m), ["server", "-c", CONFIG]);
  await using test = await administered();
  const local = check.map((word) => word === CONFIG ? `${test.proxy.folder}/mc-proxy.toml` : word);
  assert.notDeepEqual(local, check);
  const healthy = await runProgram(local);
  assert.deepEqual([healthy.code, healthy.stdout], [0, "SERVING\n"]);
  test.proxy.signal("SIGTERM");
  await test.proxy.exit();
  assert.equal((await runProgram(local)).code, 1);
});

Deno.test("the compose file is YAML, and its service is closed and fits the image", () => {
  const { services, volumes } = parseYaml(Deno.readTextFileSync(`${ROOT}config/compose.yaml`), { strict: true });
  const service = services["mc-proxy"];
  assert.deepEqual(Object.keys(services), ["mc-proxy"]);
  assert.equal(service.build, "..");
  assert.ok(service.volumes.includes(`./config.toml:${CONFIG}:ro`));
  assert.ok(service.volumes.includes("data:/srv/mc-proxy") && "data" in volumes);
  assert.match(DOCKERFILE, /^VOLUME \/srv\/mc-proxy$/m);
  assert.deepEqual([service.read_only, service.cap_drop], [true, ["ALL"]]);
});
