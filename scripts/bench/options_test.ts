import assert from "node:assert/strict";
import { readOptions, ROWS, UsageError } from "./options.ts";

Deno.test("without options every row is run five times, peers included", () => {
  assert.deepEqual(readOptions([]), {
    rows: ROWS,
    rounds: 5,
    quick: false,
    peers: true,
    engine: undefined,
    json: undefined,
  });
});

Deno.test("a quick run has one round unless more are asked for", () => {
  const rounds = (args: string[]) => {
    const options = readOptions(args);
    return options === "help" ? undefined : options.rounds;
  };
  assert.equal(rounds(["--quick"]), 1);
  assert.equal(rounds(["--quick", "--rounds", "4"]), 4);
});

Deno.test("a wrong command line is told what is wrong with it", () => {
  for (
    const [args, message] of [
      [["--only", "bulk,disk"], /not: disk$/],
      [["--only", ""], /not: $/],
      [["--rounds", "0"], /--rounds .*: 0$/],
      [["--rounds", "many"], /--rounds .*: many$/],
      [["--loud"], /--loud/],
      [["bulk"], /bulk/],
    ] as const
  ) assert.throws(() => readOptions(args), (error) => error instanceof UsageError && message.test(error.message));
});
