import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { authority, L7 } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";

const identity = (bytes: Buffer) => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

const SERVICE = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  split: method("Split", false, true),
  echo: method("Echo", true, true),
  hang: method("Hang", false, false),
};

/** A gRPC server, and the promise that its call to `Hang` was cancelled. */
async function serve(credentials: grpc.ServerCredentials) {
  const hanging = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  server.addService(SERVICE, {
    unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      if (call.request.toString() === "fail") {
        const metadata = new grpc.Metadata();
        metadata.set("x-why-bin", Buffer.from([1, 2, 3]));
        return done({ code: grpc.status.FAILED_PRECONDITION, details: "no: ü %", metadata });
      }
      const trailer = new grpc.Metadata();
      trailer.set("x-length", String(call.request.length));
      done(null, call.request, trailer);
    },
    collect(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on("data", (part: Buffer) => parts.push(part));
      call.on("end", () => done(null, Buffer.concat(parts)));
    },
    split(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (const byte of call.request) call.write(Buffer.from([byte]));
      call.end();
    },
    echo(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (part: Buffer) => {
        if (part.toString() !== "fail") call.write(part);
        else call.emit("error", { code: grpc.status.DATA_LOSS, details: "no more" });
      });
      call.on("end", () => call.end());
    },
    hang(call: grpc.ServerUnaryCall<Buffer, Buffer>) {
      call.on("cancelled", () => cancelled.resolve());
      if (call.cancelled) cancelled.resolve();
      hanging.resolve();
    },
  });
  const bind = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", credentials, (error, port) => error ? bind.reject(error) : bind.resolve(port));
  return { server, port: await bind.promise, hanging: hanging.promise, cancelled: cancelled.promise };
}

async function withClient(
  tls: boolean,
  use: (client: grpc.Client, backend: Awaited<ReturnType<typeof serve>>) => Promise<void>,
  options: grpc.ChannelOptions = {},
) {
  const ca = Deno.makeTempFileSync({ suffix: ".pem" });
  Deno.writeTextFileSync(ca, (await authority()).cert);
  const backend = await serve(grpc.ServerCredentials.createInsecure());
  const name = "a.test";
  const addr = `127.0.0.1:${backend.port}`;
  try {
    // grpc-js serves no TLS on Deno: another proxy does
    await using origin = tls ? await L7.start([{ hostname: name, backend: addr }]) : undefined;
    const originKeys = origin && {
      backend: `127.0.0.1:${origin.proxy.address().port}`,
      backend_tls: true,
      backend_ca: ca,
      backend_server_name: name,
    };
    await using l7 = await L7.start([{ hostname: name, backend: addr, ...originKeys }]);

    const { hostname, port } = l7.proxy.address();
    const client = new grpc.Client(
      `${hostname}:${port}`,
      grpc.credentials.createSsl(Buffer.from(l7.authority.cert)),
      {
        "grpc.ssl_target_name_override": name,
        "grpc.default_authority": name,
        "grpc.max_receive_message_length": -1,
        ...options,
      },
    );
    try {
      await use(client, backend);
    } finally {
      client.close();
    }
  } finally {
    backend.server.forceShutdown();
    Deno.removeSync(ca);
  }
}

interface Unary {
  readonly error: grpc.ServiceError | null;
  readonly value: Buffer | undefined;
  readonly trailers: grpc.Metadata;
}

function unary(
  client: grpc.Client,
  { path }: grpc.MethodDefinition<Buffer, Buffer>,
  request: Buffer,
  options: grpc.CallOptions = {},
): { call: grpc.ClientUnaryCall; result: Promise<Unary> } {
  const status = Promise.withResolvers<grpc.Metadata>();
  const result = Promise.withResolvers<Unary>();
  const call = client.makeUnaryRequest(path, identity, identity, request, options, (error, value) => {
    status.promise.then((trailers) => result.resolve({ error, value, trailers }));
  });
  call.on("status", ({ metadata }) => status.resolve(metadata));
  return { call, result: result.promise };
}

for (const tls of [false, true]) {
  const over = tls ? "TLS" : "h2c";

  testEachEngine(`gRPC calls of all four kinds pass, with trailers and errors, over ${over}`, async () => {
    await withClient(tls, async (client) => {
      const small = await unary(client, SERVICE.unary, Buffer.from("hello")).result;
      assert.deepEqual([small.error, small.value?.toString(), small.trailers.get("x-length")], [null, "hello", ["5"]]);
      const large = Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)).buffer);
      const four = Buffer.concat(Array.from({ length: 64 }, () => large));
      const echoed = await unary(client, SERVICE.unary, four).result;
      assert.ok(echoed.value?.equals(four));

      const { error } = await unary(client, SERVICE.unary, Buffer.from("fail")).result;
      assert.deepEqual([error?.code, error?.details], [grpc.status.FAILED_PRECONDITION, "no: ü %"]);
      assert.deepEqual(error?.metadata.get("x-why-bin"), [Buffer.from([1, 2, 3])]);
      const missing = await unary(client, method("None", false, false), Buffer.from("")).result;
      assert.equal(missing.error?.code, grpc.status.UNIMPLEMENTED);

      const collected = await new Promise<Buffer | undefined>((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          SERVICE.collect.path,
          identity,
          identity,
          (error: grpc.ServiceError | null, value?: Buffer) => error ? reject(error) : resolve(value),
        );
        for (const part of ["a", "b", "c"]) call.write(Buffer.from(part));
        call.end();
      });
      assert.equal(collected?.toString(), "abc");

      const split = client.makeServerStreamRequest(SERVICE.split.path, identity, identity, Buffer.from("xyz"));
      const parts: string[] = [];
      for await (const part of split) parts.push(String(part));
      assert.deepEqual(parts, ["x", "y", "z"]);

      const echo = client.makeBidiStreamRequest(SERVICE.echo.path, identity, identity);
      for (let i = 0; i < 20; i++) { // each answer comes before the next question
        echo.write(Buffer.from(`message ${i}`));
        const [answer] = await once(echo, "data");
        assert.equal(String(answer), `message ${i}`);
      }
      echo.end();
      const [{ code }] = await once(echo, "status");
      assert.equal(code, grpc.status.OK);
    });
  });

  testEachEngine(`gRPC deadlines and cancellation reach the server over ${over}`, async () => {
    await withClient(tls, async (client, { hanging, cancelled }) => {
      const { call, result } = unary(client, SERVICE.hang, Buffer.from(""));
      await hanging;
      call.cancel();
      assert.equal((await result).error?.code, grpc.status.CANCELLED);
      await cancelled;
    });
    await withClient(tls, async (client, { hanging, cancelled }) => {
      let hasArrived = false;
      void hanging.then(() => hasArrived = true);
      for (let ms = 300; !hasArrived; ms *= 2) { // on a slow machine a deadline may pass before the server is reached
        const { result } = unary(client, SERVICE.hang, Buffer.from(""), { deadline: Date.now() + ms });
        assert.equal((await result).error?.code, grpc.status.DEADLINE_EXCEEDED);
      }
      await cancelled;
    });
  });

  testEachEngine(
    `gRPC calls that the server ends, or that it dies within, end so for the client over ${over}`,
    async () => {
      await withClient(tls, async (client, { server }) => {
        const failing = client.makeBidiStreamRequest(SERVICE.echo.path, identity, identity);
        failing.write(Buffer.from("x"));
        assert.equal(String((await once(failing, "data"))[0]), "x");
        failing.write(Buffer.from("fail"));
        const [error]: grpc.ServiceError[] = await once(failing, "error");
        assert.deepEqual([error?.code, error?.details], [grpc.status.DATA_LOSS, "no more"]);

        const echo = client.makeBidiStreamRequest(SERVICE.echo.path, identity, identity);
        echo.write(Buffer.from("x"));
        await once(echo, "data");
        const ended = once(echo, "status").catch((error) => [error]) as Promise<[grpc.StatusObject]>;
        echo.on("error", () => {}); // told as its status, too
        server.forceShutdown();
        const [{ code }] = await ended;
        assert.ok([grpc.status.CANCELLED, grpc.status.INTERNAL, grpc.status.UNAVAILABLE].includes(code), String(code));
        const { error: after } = await unary(client, SERVICE.unary, Buffer.from("x")).result;
        assert.equal(after?.code, grpc.status.UNAVAILABLE);
      });
    },
  );

  testEachEngine(`gRPC compression is left as it is over ${over}`, async () => {
    await withClient(tls, async (client) => {
      const text = Buffer.from("compressible ".repeat(10_000));
      const { error, value } = await unary(client, SERVICE.unary, text).result;
      assert.equal(error, null);
      assert.ok(value?.equals(text));
    }, { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip });
  });
}
