/**
 * `deno task dev:say`: a gRPC client of the demo, for those who have no grpcurl.
 *
 * One text is a unary call, several are one bidirectional stream: each is sent when the one before was answered. Each
 * answer is a line of JSON.
 *
 * @module
 */

import { create, toJson } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { methodDefinition } from "../../lib/admin/grpc.ts";
import { parsePort } from "../../lib/wire/socket_address.ts";
import { DEFAULT_PORT, folderOf } from "./folder.ts";
import { Echo, SayRequestSchema, type SayResponse, SayResponseSchema } from "./grpc/gen/echo_pb.ts";

const HELP = `Usage: deno task dev:say [options] TEXT...

Says something to the demo's gRPC server, through the proxy that deno task dev runs.

Options:
  --port <n>       the port of the proxy (default: ${DEFAULT_PORT})
  --folder <path>  where deno task dev keeps its files (default: .dev in the repository)
  --help           print this help
`;

/** How long a call may take, in milliseconds. */
const TIMEOUT_MS = 10_000;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  try {
    const options = {
      port: { type: "string" },
      folder: { type: "string" },
      help: { type: "boolean", short: "h" },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const port = parsePort(values.port ?? DEFAULT_PORT);
    if (values.help) console.log(HELP.trimEnd());
    else if (port === undefined || port === 0) return usage(`--port is not a number from 1 to 65535: ${values.port}`);
    else if (positionals.length === 0) return usage("TEXT is missing");
    else await say(positionals, port, await Deno.readTextFile(join(folderOf(values.folder), "ca.pem")));
    return 0;
  } catch (error) {
    if (error instanceof TypeError) return usage(error.message); // what parseArgs throws at a wrong command line
    console.error(`dev:say: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

function usage(message: string): number {
  console.error(`dev:say: ${message}; see deno task dev:say --help`);
  return 2;
}

/** @throws {Error} If a call fails. */
async function say(texts: readonly string[], port: number, ca: string): Promise<void> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(ca)), {
    "grpc.ssl_target_name_override": "grpc.localhost",
    "grpc.default_authority": "grpc.localhost",
  });
  try {
    const [text] = texts;
    if (text !== undefined && texts.length === 1) await sayOne(client, text);
    else await sayAll(client, texts);
  } finally {
    client.close();
  }
}

async function sayOne(client: Client, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<SayResponse | undefined>();
  const { path, requestSerialize, responseDeserialize } = methodDefinition(Echo.method.say);
  client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    create(SayRequestSchema, { text }),
    { deadline: Date.now() + TIMEOUT_MS },
    (error, answer) => error === null ? resolve(answer) : reject(error),
  );
  print(await promise);
}

async function sayAll(client: Client, texts: readonly string[]): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(Echo.method.chat);
  const options = { deadline: Date.now() + TIMEOUT_MS };
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, options);
  for (const text of texts) {
    call.write(create(SayRequestSchema, { text }));
    const [answer] = await once(call, "data");
    print(answer);
  }
  call.end();
  await once(call, "end");
}

function print(answer: SayResponse | undefined): void {
  if (answer !== undefined) {
    console.log(JSON.stringify(toJson(SayResponseSchema, answer, { alwaysEmitImplicit: true })));
  }
}
