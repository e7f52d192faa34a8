/**
 * How each proxy is configured for the HTTP rows: TLS is ended with the same certificate, and a backend gets the same
 * fields added, over h2c where the proxy can speak it.
 *
 * @module
 */

import { stringify } from "smol-toml";
import type { KeyPair } from "../dev/certificates.ts";
import type { HttpBackendPorts } from "./http_backend.ts";
import { HTTP_HOST } from "./http_protocol.ts";

/** What of an {@linkcode HttpSetup} is a row's to choose. */
export interface HttpShape {
  /** What the backend does. */
  readonly behaviour: "small" | "grpc" | "body";
}

/** What a proxy is to do in an HTTP row. */
export interface HttpSetup extends HttpShape {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  readonly backends: HttpBackendPorts;
  readonly keyPair: KeyPair;
  /** A folder of its own. */
  readonly folder: string;
}

/** Bytes of a buffer of HAProxy and nginx where bodies are large: see BULK_SIZE in rows.ts. */
const BODY_BUFFER = 256 * 1024;
const MAX_CONNECTIONS = 2_000;
/** More requests than a run makes on one connection. */
const NO_LIMIT = 1_000_000_000;

/** Writes the certificate and mc-proxy's configuration: its defaults, but one worker and a log of warnings only. */
export async function writeMcProxyHttp(setup: HttpSetup): Promise<string> {
  const { folder, port, backends, behaviour } = setup;
  const { cert: tls_cert, key: tls_key } = await writeKeyPair(setup);
  return await writeIn(
    folder,
    "mc-proxy.toml",
    stringify({
      database: { path: "mc-proxy.db" },
      listeners: [{
        addr: `127.0.0.1:${port}`,
        routes: [{
          hostname: HTTP_HOST,
          backend: `127.0.0.1:${backends[behaviour]}`,
          mode: "l7",
          tls_cert,
          tls_key,
        }],
      }],
      proxy: { workers: 1, shutdown_timeout: "1s" },
      log: { level: "warn" },
    }),
  );
}

/** Writes the certificate and HAProxy's configuration. */
export async function writeHaproxyHttp(setup: HttpSetup): Promise<string> {
  const { folder, port, backends, behaviour } = setup;
  const { both } = await writeKeyPair(setup);
  return await writeIn(
    folder,
    "haproxy.cfg",
    `global
  nbthread 1
${behaviour === "body" ? `  tune.bufsize ${BODY_BUFFER}\n` : ""}  maxconn ${MAX_CONNECTIONS}
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend edge
  bind 127.0.0.1:${port} backlog 4096 ssl crt ${both} alpn h2,http/1.1 ssl-min-ver TLSv1.2
  use_backend one if { req.hdr(host),host_only -m str ${HTTP_HOST} }
backend one
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Request-ID %[uuid]
  http-reuse always
  server one 127.0.0.1:${backends[behaviour]} proto h2
`,
  );
}

/** Writes the certificate and nginx's configuration. It speaks HTTP/2 to a backend in gRPC alone, else HTTP/1.1. */
export async function writeNginxHttp(setup: HttpSetup): Promise<string> {
  const { folder, port, backends, behaviour } = setup;
  const { cert, key } = await writeKeyPair(setup);
  const backend = behaviour === "grpc" ? backends.grpc : backends[`${behaviour}1`];
  const module = behaviour === "grpc" ? "grpc" : "proxy";
  const pass = behaviour === "grpc"
    ? "grpc_pass grpc://one;"
    : 'proxy_pass http://one;\n      proxy_http_version 1.1;\n      proxy_set_header Connection "";';
  const buffers = behaviour === "body"
    ? `proxy_max_temp_file_size 0;\n      proxy_buffer_size ${BODY_BUFFER};\n      proxy_buffers 8 ${BODY_BUFFER};
      proxy_busy_buffers_size ${2 * BODY_BUFFER};`
    : "";
  const fields = [
    ["Host", "$host"],
    ["X-Forwarded-For", "$proxy_add_x_forwarded_for"],
    ["X-Forwarded-Proto", "https"],
    ["X-Forwarded-Host", "$http_host"],
    ["X-Real-IP", "$remote_addr"],
    ["X-Request-ID", "$request_id"],
  ];
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return await writeIn(
    folder,
    "nginx.conf",
    `daemon off;
worker_processes 1;
worker_rlimit_nofile ${2 * MAX_CONNECTIONS + 500};
pid nginx.pid;
error_log stderr crit;
events {
  worker_connections ${2 * MAX_CONNECTIONS};
}
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};\n`).join("")}  keepalive_timeout 300s;
  keepalive_requests ${NO_LIMIT};
  upstream one {
    server 127.0.0.1:${backend};
    keepalive 512;
    keepalive_requests ${NO_LIMIT};
  }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    server_name ${HTTP_HOST};
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      ${pass}
${fields.map(([name, value]) => `      ${module}_set_header ${name} ${value};\n`).join("")}      ${buffers}
    }
  }
}
`,
  );
}

async function writeKeyPair({ folder, keyPair }: HttpSetup): Promise<{ cert: string; key: string; both: string }> {
  return {
    cert: await writeIn(folder, "cert.pem", keyPair.cert),
    key: await writeIn(folder, "key.pem", keyPair.key),
    both: await writeIn(folder, "both.pem", keyPair.cert + keyPair.key),
  };
}

async function writeIn(folder: string, name: string, text: string): Promise<string> {
  const file = `${folder}/${name}`;
  await Deno.writeTextFile(file, text);
  return file;
}
