/**
 * A small disk that can be filled and mounted read-only: a file system in memory, which only root may mount.
 */
export class Disk implements Disposable {
  readonly path: string;
  readonly #fill: string;

  private constructor(path: string) {
    this.path = path;
    this.#fill = `${path}/fill`;
  }

  /** Mounts one of so many KiB. */
  static mount(kib = 512): Disk {
    const path = Deno.makeTempDirSync({ prefix: "mc-proxy-disk-" });
    if (!run("mount", "-t", "tmpfs", "-o", `size=${kib}k`, "none", path)) throw new Error(`cannot mount ${path}`);
    return new Disk(path);
  }

  /** Takes all the room that there is. */
  fill(): void {
    using file = Deno.openSync(this.#fill, { create: true, append: true });
    for (const size of [4096, 1]) {
      try {
        for (;;) file.writeSync(new Uint8Array(size));
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      }
    }
  }

  /** Gives back the room that {@linkcode fill} took. */
  free(): void {
    Deno.removeSync(this.#fill);
  }

  /** Mounts it anew; nothing may have a file open for writing for it to become read-only. */
  remount(how: "ro" | "rw"): void {
    if (!run("mount", "-o", `remount,${how}`, this.path)) throw new Error(`cannot remount ${this.path} ${how}`);
  }

  [Symbol.dispose](): void {
    run("umount", "--lazy", this.path);
    Deno.removeSync(this.path);
  }
}

let canMount: boolean | undefined;

/** Whether this process may mount a disk. */
export function mayMount(): boolean {
  if (canMount !== undefined) return canMount;
  try {
    using _disk = Disk.mount(4);
    return canMount = true;
  } catch {
    return canMount = false;
  }
}

function run(command: string, ...args: readonly string[]): boolean {
  return new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" }).outputSync().success;
}
