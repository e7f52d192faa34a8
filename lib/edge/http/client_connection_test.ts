import assert from "node:assert/strict";
import { Deadlines } from "../deadlines.ts";
import { type Accepted, type ClientService, HttpClient, type HttpEnd } from "./client_connection.ts";
import type { ClientTls, HandshakeEvents } from "./client_tls.ts";
import { FakeTransport, FakeTurn } from "./testdata/fake_transport.ts";
import { Http2Peer, ping, settings } from "./testdata/http2_peer.ts";
import * as h2 from "../../wire/http2_frames.ts";

const MINUTE_MS = 60_000;

/** A transport whose handshake is done when the test says so. */
class FakeTls extends FakeTransport implements ClientTls {
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  handshakeEvents: HandshakeEvents | undefined;

  handshake(events: HandshakeEvents): void {
    this.handshakeEvents = events;
  }
}

/** A client of HTTP/2 whose connection is under a clock that only the test turns. */
class Scene implements Disposable {
  readonly deadlines = new Deadlines(0);
  readonly tls = new FakeTls(new FakeTurn(this.deadlines));
  readonly peer = new Http2Peer(this.tls);
  readonly client: HttpClient;
  readonly ends: HttpEnd[] = [];
  #now = 0;

  constructor() {
    const { tls, ends } = this;
    const unused = () => {
      throw new TypeError("no request is made");
    };
    const service: ClientService = {
      turn: tls.turn,
      timeouts: { proxyHeaderMs: MINUTE_MS, helloMs: MINUTE_MS, connectMs: MINUTE_MS, idleMs: MINUTE_MS },
      reportsRequests: false,
      routeFor: () => undefined,
      sharedPool: unused,
      ownPool: unused,
      listenerAddr: () => ":443",
      counting: () => ({ read() {}, written() {} }),
      countRequest() {},
      countPolicyBlock() {},
      requestEnded() {},
      suppressesMalformed: () => false,
      fault: (thrown) => {
        throw thrown;
      },
      forget() {},
    };
    const accepted: Accepted = {
      listener: 0,
      client: { address: new Uint8Array(16), port: 1 },
      destination: { address: new Uint8Array(16), port: 443 },
      serverName: "a.test",
      route: "a.test",
      ended: (end) => void ends.push(end),
    };
    this.client = new HttpClient(service, tls, accepted);
    tls.handshakeEvents?.secured("h2");
    this.peer.send(Uint8Array.from(h2.PREFACE), settings());
  }

  /** Turns the wheel as a thread does that goes on after so many milliseconds. */
  turn(ms: number): void {
    this.deadlines.turnTo(this.#now += ms);
  }

  /** Has so much time pass without a delay. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 50) this.turn(Math.min(left, 50));
  }

  [Symbol.dispose](): void {
    this.client.abort();
    this.peer[Symbol.dispose]();
  }
}

const PING = "PING \0\0\0\0\0\0\0\0";
const WARNING = "GOAWAY 2147483647 NO_ERROR";

Deno.test("a client whose answer to the goodbye has come while the thread was held up ends in order", async () => {
  using scene = new Scene();
  const { client, peer, ends } = scene;
  client.drain();
  scene.pass(2_050);
  assert.deepEqual((await peer.told()).slice(-2), [WARNING, PING], "it may take its first request back");
  scene.turn(10_000); // both stages of the goodbye would be over
  assert.deepEqual(ends, []);
  peer.send(ping("\0\0\0\0\0\0\0\0", h2.ACK));
  assert.deepEqual(await peer.told(), ["GOAWAY 0 NO_ERROR"]);
  assert.deepEqual(ends.map(({ reason }) => reason), ["closed"]);
});

Deno.test("a client that is silent is told the last word before it is cut, however late the thread is", async () => {
  using scene = new Scene();
  const { client, peer, tls, ends } = scene;
  client.drain();
  scene.pass(2_050);
  await peer.told();
  scene.turn(10_000);
  for (let turns = 0; ends.length === 0; turns++) {
    assert.ok(turns < 20);
    scene.turn(1_000);
  }
  assert.deepEqual(await peer.told(), ["GOAWAY 0 NO_ERROR"]);
  assert.deepEqual([ends.map(({ reason }) => reason), tls.isDestroyed], [["closed"], false]);
});
