/**
 * The GeoIP file, which may be replaced while the program runs.
 *
 * @module
 */

import { GeoIp, GeoIpError } from "../rules/geoip.ts";
import { fileErrorReason } from "./file_access.ts";
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

/** See the module. */
export class GeoipFile {
  readonly path: string;
  #builtAt: Date;
  #loadedAt = new Date();
  #reloadFailures = 0;

  private constructor(path: string, builtAt: Date) {
    this.path = path;
    this.#builtAt = builtAt;
  }

  /**
   * Loads the file. Its bytes, which may be many, are not kept here.
   *
   * @throws {GeoIpError} If it is not one.
   * @throws If it cannot be read.
   */
  static load(path: string): { readonly file: GeoipFile; readonly bytes: Uint8Array } {
    const bytes = Deno.readFileSync(path);
    return { file: new GeoipFile(path, GeoIp.open(bytes).builtAt), bytes };
  }

  get status(): GeoipStatus {
    const { path } = this;
    return { path, builtAt: this.#builtAt, loadedAt: this.#loadedAt, reloadFailures: this.#reloadFailures };
  }

  /** Reads the file again; `undefined` where it cannot be used, which is logged and counted. */
  reload(log: Log): Uint8Array | undefined {
    try {
      const bytes = Deno.readFileSync(this.path);
      this.#builtAt = GeoIp.open(bytes).builtAt;
      this.#loadedAt = new Date();
      log.info("geoip_reloaded", { path: this.path, built_at: this.#builtAt.toISOString() });
      return bytes;
    } catch (error) {
      this.#reloadFailures++;
      const reason = error instanceof GeoIpError ? error.message : fileErrorReason(error);
      log.error("geoip_reload_failed", { path: this.path, error: reason });
      return undefined;
    }
  }
}
