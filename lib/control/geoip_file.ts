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
  readonly bytes: Uint8Array;
  #builtAt: Date;
  #loadedAt = new Date();
  #reloadFailures = 0;

  /**
   * Loads the file.
   *
   * @throws {GeoIpError} If it is not one.
   * @throws If it cannot be read.
   */
  constructor(path: string) {
    this.path = path;
    this.bytes = Deno.readFileSync(path);
    this.#builtAt = GeoIp.open(this.bytes).builtAt;
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
      log.error("geoip_reload_failed", { path: this.path, error: reason, message: "the one before stays in use" });
      return undefined;
    }
  }
}
