/**
 * The GeoIP file, which may be replaced while the program runs.
 *
 * @module
 */

import { GeoIp, GeoIpError } from "../rules/geoip.ts";
import { fileErrorReason, notAFile } from "./file_access.ts";
import type { Log } from "./log.ts";

/** The GeoIP file in use. */
export interface GeoipStatus {
  readonly path: string;
  /** When its publisher made it. */
  readonly builtAt: Date;
  readonly loadedAt: Date;
  /** How often a reload found a file that it could not use. */
  readonly reloadFailures: number;
}

/** What became of a reload: there may be no file that is to be read. */
export type GeoipReload = "none" | "loaded" | "failed";

/** See the module. */
export class GeoipFile {
  readonly path: string;
  /** None where no file was sound so far. */
  #builtAt: Date | undefined;
  #loadedAt = new Date();
  #reloadFailures = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /** Loads the file, if it is sound; its bytes, which may be many, are not kept here. {@linkcode reload} tries again. */
  static open(path: string): { readonly file: GeoipFile; readonly bytes: Uint8Array | undefined } {
    const file = new GeoipFile(path);
    try {
      return { file, bytes: file.#read() };
    } catch (error) {
      reasonOf(error);
      return { file, bytes: undefined };
    }
  }

  /** What is in use; `undefined` where nothing is. */
  get status(): GeoipStatus | undefined {
    if (this.#builtAt === undefined) return undefined;
    const { path } = this;
    return { path, builtAt: this.#builtAt, loadedAt: this.#loadedAt, reloadFailures: this.#reloadFailures };
  }

  #read(): Uint8Array {
    const obstacle = notAFile(this.path);
    if (obstacle !== undefined) throw new GeoIpError(obstacle);
    const bytes = Deno.readFileSync(this.path);
    this.#builtAt = GeoIp.open(bytes).builtAt;
    this.#loadedAt = new Date();
    return bytes;
  }

  /** Reads the file again; `undefined` where it cannot be used, which is logged and counted. */
  reload(log: Log): Uint8Array | undefined {
    try {
      const bytes = this.#read();
      log.info("geoip_reloaded", { path: this.path, built_at: this.#builtAt?.toISOString() ?? "" });
      return bytes;
    } catch (error) {
      this.#reloadFailures++;
      log.error("geoip_reload_failed", { path: this.path, error: reasonOf(error) });
      return undefined;
    }
  }
}

/** Why a file cannot be used. @throws The error itself, where it is none of a file. */
function reasonOf(error: unknown): string {
  return error instanceof GeoIpError ? error.message : fileErrorReason(error);
}
