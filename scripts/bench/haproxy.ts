/**
 * HAProxy as the benchmark runs it.
 *
 * @module
 */

import { HTTP_HOST } from "./http_protocol.ts";
import { findExecutable, firstLine, type Missing, type Proxy, roomFor } from "./proxies.ts";
import { hostsOf, httpBackend, type L4Setup, type L7Setup, type ProxySetup, writeIn } from "./setup.ts";

const STANDARD_OUTPUT = 1;

/** Finds HAProxy. */
export async function findHaproxy(): Promise<Proxy | Missing> {
  const executable = await findExecutable("haproxy");
  if (executable === undefined) return { missing: "HAProxy is not installed (Debian: apt install haproxy)" };
  return {
    name: "HAProxy",
    version: (await firstLine(executable, ["-v"])).replace(/^HAProxy version (\S+).*$/, "$1"),
    async prepare(setup) {
      const { folder, l4, log } = setup;
      const map = l4 === undefined ? "" : await writeIn(folder, "haproxy.map", haproxyMap(l4));
      const file = await writeIn(folder, "haproxy.cfg", haproxyConfig(setup, map));
      const output = log === undefined ? {} : { output: { descriptor: STANDARD_OUTPUT, file: log } };
      return { executable, args: ["-db", "-f", file], ...output };
    },
  };
}

function haproxyMap(l4: L4Setup): string {
  return hostsOf(l4).map(({ name, behaviour }) => `${name} ${behaviour}\n`).join("");
}

/** It has no file as a log of its own: where there is one, standard output is that file, one write(2) a line. */
function haproxyConfig({ connections, buffer, log, l4, l7 }: ProxySetup, map: string): string {
  return `global
  nbthread 1
${buffer === undefined ? "" : `  tune.bufsize ${buffer}\n`}  maxconn ${roomFor(connections)}
${log === undefined ? "" : "  log stdout format raw local0 info\n"}defaults
  timeout connect 5s
  timeout client 300s
  timeout server 300s
${log === undefined ? "" : "  log global\n  option tcplog\n"}${l4 === undefined ? "" : l4Sections(l4, map)}${
    l7 === undefined ? "" : l7Sections(l7)
  }`;
}

function l4Sections({ port, backends }: L4Setup, map: string): string {
  return `frontend l4
  mode tcp
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 10s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend %[req.ssl_sni,lower,map_str(${map})]
${
    Object.entries(backends)
      .map(([name, backend]) => `backend ${name}\n  mode tcp\n  server one 127.0.0.1:${backend}\n`)
      .join("")
  }`;
}

function l7Sections(l7: L7Setup): string {
  const { port, certificate, backendTls } = l7;
  const backend = httpBackend(l7, true);
  const protocol = backend.http1 ? "proto h1" : "proto h2";
  const tls = backendTls === undefined
    ? ""
    : ` ssl verify required ca-file ${certificate.ca} sni str(${HTTP_HOST}) alpn ${backend.http1 ? "http/1.1" : "h2"}`;
  return `frontend l7
  mode http
  bind 127.0.0.1:${port} backlog 4096 ssl crt ${certificate.both} alpn h2,http/1.1 ssl-min-ver TLSv1.2
  use_backend http if { req.hdr(host),host_only -m str ${HTTP_HOST} }
backend http
  mode http
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Request-ID %[uuid]
  http-reuse always
  server one 127.0.0.1:${backend.port} ${protocol}${tls}
`;
}
