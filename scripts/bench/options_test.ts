import assert from "node:assert/strict";
import { type Options, readOptions as read, ROWS, UsageError } from "./options.ts";

function readOptions(args: readonly string[]): Options {
  const options = read(args, "/src/main");
  assert.ok(options !== "help");
  return options;
}

Deno.test("without options every row is run five times, peers included", () => {
  assert.deepEqual(readOptions([]), {
    rows: ROWS,
    rounds: 5,
    quick: false,
    peers: true,
    engine: undefined,
    variants: [],
    perf: undefined,
    connections: { "idle": 5_000, "idle-tls": 2_000 },
    handshakes: 2_000,
    json: undefined,
  });
});

Deno.test("--help asks for the help alone", () => assert.equal(read(["--help", "--rounds", "2"], "/"), "help"));

Deno.test("a quick run has one round unless more are asked for", () => {
  const rounds = (args: string[]) => readOptions(args).rounds;
  assert.equal(rounds(["--quick"]), 1);
  assert.equal(rounds(["--quick", "--rounds", "4"]), 4);
});

Deno.test("a quick run leaves fewer connections idle unless more are asked for", () => {
  const connections = (...args: string[]) => readOptions(["--quick", ...args]).connections;
  assert.deepEqual(connections(), { "idle": 1_000, "idle-tls": 200 });
  assert.deepEqual(connections("--connections", "idle=20000"), { "idle": 20_000, "idle-tls": 200 });
  assert.deepEqual(connections("--connections", "idle-tls=7,idle=8"), { "idle": 8, "idle-tls": 7 });
});

Deno.test("variants are taken in the order in which they are named, their folders below where the command is given", () => {
  const { variants } = readOptions(["--variant", "before=../base", "--variant", "after=.,--max-semi-space-size=4"]);
  assert.deepEqual(variants.map(({ name, folder, v8Flags }) => [name, folder, v8Flags]), [
    ["before", "/src/base", []],
    ["after", "/src/main", ["--max-semi-space-size=4"]],
  ]);
});

Deno.test("a file to be written is below where the command is given", () => {
  assert.equal(readOptions(["--json", "found.json"]).json, "/src/main/found.json");
});

Deno.test("a wrong command line is told what is wrong with it", () => {
  for (
    const [args, message] of [
      [["--only", "bulk,disk"], /not: disk$/],
      [["--only", ""], /not: $/],
      [["--rounds", "0"], /--rounds .*: 0$/],
      [["--rounds", "many"], /--rounds .*: many$/],
      [["--rounds", "1000"], /--rounds .* 1 to 999: 1000$/],
      [["--handshakes", "0"], /--handshakes .*: 0$/],
      [["--connections", "bulk=3"], /idle=5000,idle-tls=2000, not: bulk=3$/],
      [["--connections", "idle"], /not: idle$/],
      [["--connections", "idle=-1"], /--connections idle .*: -1$/],
      [["--variant", "../main"], /--variant: .*NAME=DIR/],
      [["--variant", "one=a", "--variant", "one=b"], /the name one twice/],
      [["--loud"], /--loud/],
      [["bulk"], /bulk/],
    ] as const
  ) assert.throws(() => readOptions(args), (error) => error instanceof UsageError && message.test(error.message));
});
