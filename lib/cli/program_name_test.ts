import assert from "node:assert/strict";
import { programNameOf } from "./program_name.ts";

Deno.test("mcproxyctl is the name of a link, wherever it is", () => {
  for (const argv0 of ["mcproxyctl", "./mcproxyctl", "/usr/local/bin/mcproxyctl", "C:\\bin\\mcproxyctl.EXE"]) {
    assert.equal(programNameOf(argv0), "mcproxyctl", argv0);
  }
});

Deno.test("by any other name the program is mc-proxy", () => {
  for (
    const argv0 of ["", "mc-proxy", "/opt/mcproxyctl/mc-proxy", "mcproxyctl-old", "mcproxyctl/", "deno", "MCPROXYCTL"]
  ) {
    assert.equal(programNameOf(argv0), "mc-proxy", argv0);
  }
});
