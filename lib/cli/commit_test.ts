import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { readCommit } from "./commit.ts";

const HASH = "0123456789abcdef0123456789abcdef01234567";

/** The commit that is read in a folder with these files. */
async function commitOf(files: Readonly<Record<string, string>>, root = "", isBinary = false) {
  const folder = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${folder}/${name}`, text.replace("DIR", folder));
  }
  const commit = readCommit({ root: pathToFileURL(`${folder}/${root}/`), isBinary });
  await Deno.remove(folder, { recursive: true });
  return commit;
}

Deno.test("the commit of a clone is that of its branch, or the one that is checked out", async () => {
  const branch = { ".git/HEAD": "ref: refs/heads/main\n" };
  assert.equal(await commitOf({ ...branch, ".git/refs/heads/main": `${HASH}\n` }), "0123456789ab");
  assert.equal(
    await commitOf({ ...branch, ".git/packed-refs": `# pack-refs\n${HASH} refs/heads/main\n` }),
    "0123456789ab",
  );
  assert.equal(await commitOf({ ".git/HEAD": `${HASH}\n` }), "0123456789ab");
});

Deno.test("the commit of a worktree is found where its .git points to", async () => {
  const files = {
    "tree/.git": "gitdir: DIR/clone/.git/worktrees/tree\n",
    "clone/.git/worktrees/tree/HEAD": "ref: refs/heads/side\n",
    "clone/.git/worktrees/tree/commondir": "../..\n",
    "clone/.git/refs/heads/side": `${HASH}\n`,
  };
  assert.equal(await commitOf(files, "tree"), "0123456789ab");
  assert.equal(
    await commitOf({ ...files, "tree/.git": "gitdir: ../clone/.git/worktrees/tree" }, "tree"),
    "0123456789ab",
  );
});

Deno.test("a folder that is no clone has no commit, and a binary says what it was made of", async () => {
  assert.equal(await commitOf({}), undefined);
  assert.equal(await commitOf({ ".git/HEAD": "ref: refs/heads/unborn\n" }), undefined);
  assert.equal(await commitOf({ ".git/HEAD": "<html>\n" }), undefined);
  const files = { ".git/HEAD": `${HASH}\n`, "out/commit": "fedcba987654-dirty\n" };
  assert.equal(await commitOf(files, "", true), "fedcba987654-dirty");
  assert.equal(await commitOf(files), "0123456789ab");
});
