/**
 * nginx as the benchmark runs it.
 *
 * @module
 */

import { HTTP_HOST } from "./http_protocol.ts";
import { descriptorsFor, findExecutable, isFile, type Missing, type Proxy, roomFor } from "./proxies.ts";
import { hostsOf, httpBackend, type L4Setup, type L7Setup, type ProxySetup, writeIn } from "./setup.ts";

/** More requests than a run makes on one connection. */
const NO_LIMIT = 1_000_000_000;
/** What nginx counts among its connections. */
const LISTENERS = 10;
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
const FIELDS = [
  ["Host", "$host"],
  ["X-Forwarded-For", "$proxy_add_x_forwarded_for"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Host", "$http_host"],
  ["X-Real-IP", "$remote_addr"],
  ["X-Request-ID", "$request_id"],
] as const;

/** Finds nginx with its stream module, built in or Debian's dynamic one. */
export async function findNginx(): Promise<Proxy | Missing> {
  const executable = await findExecutable("nginx");
  if (executable === undefined) {
    return { missing: "nginx is not installed (Debian: apt install nginx-light libnginx-mod-stream)" };
  }
  const { stderr } = await new Deno.Command(executable, { args: ["-V"], stdin: "null" }).output();
  const build = new TextDecoder().decode(stderr);
  const module = `${/--modules-path=(\S+)/.exec(build)?.[1] ?? "/usr/lib/nginx/modules"}/ngx_stream_module.so`;
  const builtIn = / --with-stream( |$)/m.test(build);
  if (!builtIn && !await isFile(module)) {
    return { missing: "nginx has no stream module (Debian: apt install libnginx-mod-stream)" };
  }
  return {
    name: "nginx",
    version: /nginx\/(\S+)/.exec(build)?.[1] ?? "unknown",
    async prepare(setup) {
      const { folder } = setup;
      const file = await writeIn(folder, "nginx.conf", nginxConfig(setup, builtIn ? undefined : module));
      // -e: the log is opened before the configuration is read, and /var/log/nginx is root's.
      return { executable, args: ["-p", folder, "-e", "stderr", "-c", file] };
    },
  };
}

function nginxConfig({ connections, buffer, log, l4, l7, folder }: ProxySetup, module: string | undefined): string {
  return `${module === undefined ? "" : `load_module ${module};\n`}daemon off;
worker_processes 1;
worker_rlimit_nofile ${descriptorsFor(connections)};
pid nginx.pid;
error_log stderr crit;
events {
  worker_connections ${2 * roomFor(connections) + LISTENERS};
}
${l4 === undefined ? "" : streamBlock(l4, buffer, log)}${l7 === undefined ? "" : httpBlock(l7, buffer, folder)}`;
}

/** Its log has no format by default; this one tells what the others tell of a connection. */
function streamBlock(l4: L4Setup, buffer: number | undefined, log: string | undefined): string {
  const { port, backends } = l4;
  return `stream {
${
    log === undefined
      ? "  access_log off;"
      : "  log_format connection '$remote_addr:$remote_port [$time_iso8601] $ssl_preread_server_name $upstream_addr '\n" +
        `    '$bytes_received $bytes_sent $session_time $status';\n  access_log ${log} connection;`
  }
  map $ssl_preread_server_name $name {
${hostsOf(l4).map(({ name, behaviour }) => `    ${name} ${behaviour};\n`).join("")}  }
${
    Object.entries(backends)
      .map(([name, backend]) => `  upstream ${name} {\n    server 127.0.0.1:${backend};\n  }\n`)
      .join("")
  }  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    preread_timeout 10s;
    proxy_connect_timeout 5s;
    proxy_timeout 300s;
${buffer === undefined ? "" : `    proxy_buffer_size ${buffer};\n`}    proxy_pass $name;
  }
}
`;
}

/** It speaks HTTP/2 to a backend in gRPC alone, else HTTP/1.1 on connections that are kept. */
function httpBlock(l7: L7Setup, buffer: number | undefined, folder: string): string {
  const { port, behaviour, certificate } = l7;
  const backend = httpBackend(l7, false);
  const module = behaviour === "grpc" ? "grpc" : "proxy";
  return `http {
  access_log off;
${TEMPORARY.map((name) => `  ${name}_temp_path ${folder}/${name};\n`).join("")}  keepalive_timeout 300s;
  keepalive_requests ${NO_LIMIT};
  upstream one {
    server 127.0.0.1:${backend.port};
    keepalive 512;
    keepalive_requests ${NO_LIMIT};
  }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    server_name ${HTTP_HOST};
    ssl_certificate ${certificate.cert};
    ssl_certificate_key ${certificate.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
${indented([...passLines(l7), ...bufferLines(buffer)])}${
    indented(FIELDS.map(([name, value]) => `${module}_set_header ${name} ${value};`))
  }    }
  }
}
`;
}

function passLines({ behaviour, backendTls, certificate }: L7Setup): string[] {
  if (behaviour === "grpc") return ["grpc_pass grpc://one;"];
  const http1 = ["proxy_http_version 1.1;", 'proxy_set_header Connection "";'];
  if (backendTls === undefined) return ["proxy_pass http://one;", ...http1];
  return [
    "proxy_pass https://one;",
    ...http1,
    "proxy_ssl_protocols TLSv1.2 TLSv1.3;", // 1.3 is not among its defaults
    "proxy_ssl_server_name on;",
    `proxy_ssl_name ${HTTP_HOST};`,
    "proxy_ssl_verify on;",
    `proxy_ssl_trusted_certificate ${certificate.ca};`,
  ];
}

function bufferLines(buffer: number | undefined): string[] {
  if (buffer === undefined) return [];
  return [
    "proxy_max_temp_file_size 0;",
    `proxy_buffer_size ${buffer};`,
    `proxy_buffers 8 ${buffer};`,
    `proxy_busy_buffers_size ${2 * buffer};`,
  ];
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `      ${line}\n`).join("");
}
