import assert from "node:assert/strict";
import { Http2Peer, type Socket } from "./http_peers.ts";
import { END_HEADERS, END_STREAM, frame, HEADERS, join, OPEN_WINDOWS, PREFACE, SMALL_ANSWER } from "./http_protocol.ts";
import { accept, close, connect, listen, Poller, WOULD_BLOCK, WRITABLE } from "./libc.ts";

/** A socket that takes a few bytes at a time, and every other time none; epoll finds it ready at all times. */
function narrowSocket(fd: number, received: Uint8Array): { socket: Socket; sent: number[] } {
  const sent: number[] = [];
  let unread = received;
  let room = false;
  const socket: Socket = {
    fd,
    read(buffer) {
      if (unread.length === 0) return WOULD_BLOCK;
      buffer.set(unread);
      const { length } = unread;
      unread = unread.subarray(length);
      return length;
    },
    send(bytes) {
      room = !room;
      if (!room) return WOULD_BLOCK;
      sent.push(...bytes.subarray(0, 50));
      return Math.min(50, bytes.length);
    },
    close: () => {},
  };
  return { socket, sent };
}

Deno.test({
  name: "answers that go out in parts go out whole, and in order",
  ignore: Deno.build.os !== "linux",
  fn() {
    const listener = listen();
    const client = connect(listener.port);
    const server = accept(listener.fd);
    try {
      const poller = new Poller();
      const requests = [1, 3, 5].map((stream) => frame(HEADERS, END_HEADERS | END_STREAM, stream, Uint8Array.of(0x82)));
      const { socket, sent } = narrowSocket(server, join(PREFACE, ...requests));
      const peer = new Http2Peer(socket, poller, "small");
      peer.onReadable();
      const turn = () => poller.wait(0, (_fd, events) => (events & WRITABLE) !== 0 && peer.onWritable());
      while (turn() > 0); // until it no longer waits for room
      assert.equal(sent.length, OPEN_WINDOWS.length + 3 * SMALL_ANSWER.length);
      const streams = [0, 1, 2].map((i) => sent[OPEN_WINDOWS.length + i * SMALL_ANSWER.length + 8]);
      assert.deepEqual(streams, [1, 3, 5]);
    } finally {
      for (const fd of [client, server, listener.fd]) close(fd);
    }
  },
});
