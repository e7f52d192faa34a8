/** Receives datagrams on the Unix socket that its argument names; each is a line of JSON. Run with --unstable-net. */
const [path = ""] = Deno.args;
const socket = Deno.listenDatagram({ transport: "unixpacket", path });
console.log(JSON.stringify({ LISTENING: path }));
for await (const [octets] of socket) {
  const lines = new TextDecoder().decode(octets).split("\n");
  console.log(JSON.stringify(Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)))));
}
