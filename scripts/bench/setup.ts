/**
 * What a proxy of the benchmark is to do: the same for each of them, and each writes its own configuration from it.
 *
 * @module
 */

import type { BackendPorts } from "./backend.ts";
import type { HttpBackendPorts } from "./http_backend.ts";
import { behaviourOf, hostname } from "./protocol.ts";

/** TLS is passed through. */
export interface L4Setup {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** How many hosts it has routes for. */
  readonly hosts: number;
  /** How many prefixes its firewall blocks, none of them of the loopback. Only mc-proxy has one. */
  readonly prefixes: number;
  readonly backends: BackendPorts;
}

/** What of an {@linkcode L7Setup} is a row's to choose. */
export interface L7Shape {
  /** What the backend does. */
  readonly behaviour: "small" | "grpc" | "body";
  /**
   * What is spoken to the backend over TLS, whose certificate is verified. By default it is HTTP/2 without TLS; nginx,
   * which has HTTP/2 to backends in gRPC alone, speaks HTTP/1.1 in its place.
   */
  readonly backendTls?: "h2" | "http1";
}

/** TLS is ended, and HTTP forwarded. */
export interface L7Setup extends L7Shape {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  readonly backends: HttpBackendPorts;
  readonly certificate: CertificateFiles;
}

/** Files in PEM: one certificate serves all proxies, and the backends that speak TLS. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** Certificate and key, as HAProxy wants them. */
  readonly both: string;
  /** The certificate of the authority that signed. */
  readonly ca: string;
}

/** What a proxy is to do. */
export interface ProxySetup {
  /** A folder of its own. */
  readonly folder: string;
  /** How many connections of clients it has to take. */
  readonly connections: number;
  /** Bytes of a buffer of HAProxy and nginx; by default what they choose, which is 16 KiB. mc-proxy sizes its own. */
  readonly buffer?: number;
  /** The file that it appends a line to for each connection; by default it logs none. */
  readonly log?: string;
  readonly l4?: L4Setup;
  readonly l7?: L7Setup;
}

/** The port that a backend of HTTP listens on for this setup, and whether that is HTTP/1.1. */
export function httpBackend(
  { behaviour, backendTls, backends }: L7Setup,
  hasHttp2: boolean,
): { readonly port: number; readonly http1: boolean } {
  if (backendTls !== undefined) {
    const http1 = backendTls === "http1" || !hasHttp2;
    return { port: http1 ? backends.small1Tls : backends.smallTls, http1 };
  }
  if (hasHttp2 || behaviour === "grpc") return { port: backends[behaviour], http1: false };
  return { port: backends[`${behaviour}1`], http1: true };
}

/** Every host of a setup, with its name and the backend that it has. */
export function hostsOf({ hosts }: L4Setup): { name: string; behaviour: ReturnType<typeof behaviourOf> }[] {
  return Array.from({ length: hosts }, (_, host) => ({ name: hostname(host), behaviour: behaviourOf(host) }));
}

/** Writes a file of a setup. @returns Its path. */
export async function writeIn(folder: string, name: string, text: string): Promise<string> {
  const file = `${folder}/${name}`;
  await Deno.writeTextFile(file, text);
  return file;
}
