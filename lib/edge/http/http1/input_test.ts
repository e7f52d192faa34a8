import assert from "node:assert/strict";
import fc from "fast-check";
import { Http1Input, type Http1InputTaker } from "./input.ts";
import { FakeTransport, latin1, octets } from "../testdata/fake_transport.ts";

/** Takes as much each time as it is told to. */
class Taker implements Http1InputTaker {
  wantsMore = false;
  taken = "";
  ended = 0;
  amounts: number[] = [];

  take(bytes: Uint8Array): number {
    const piece = bytes.subarray(0, this.amounts.shift() ?? 0);
    this.taken += latin1(piece);
    return piece.length;
  }

  inputEnded(): void {
    this.ended++;
  }
}

function setUp(): { readonly taker: Taker; readonly transport: FakeTransport; readonly input: Http1Input } {
  const taker = new Taker();
  const transport = new FakeTransport();
  return { taker, transport, input: new Http1Input(transport, taker) };
}

Deno.test("octets are taken once and in order, however many come and are taken at a time", () => {
  const step = fc.record({ come: fc.nat(3000), amounts: fc.array(fc.nat(1500), { maxLength: 4 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    const { taker, input } = setUp();
    let all = "";
    for (const { come, amounts } of steps) {
      const text = Array.from({ length: come }, (_, i) => String.fromCharCode((all.length + i * 7) % 251)).join("");
      all += text;
      taker.amounts = amounts.filter((amount) => amount > 0);
      input.received(octets(text));
      assert.equal(all.slice(0, taker.taken.length), taker.taken);
      assert.equal(input.waiting, all.length - taker.taken.length);
    }
    taker.amounts = [all.length];
    input.advance();
    assert.equal(taker.taken, all);
  }));
});

Deno.test("the end is told once, behind all that came before it", () => {
  const { taker, input } = setUp();
  input.received(octets("abc"));
  input.ended();
  assert.deepEqual([taker.ended, input.ending], [0, true]);
  taker.amounts = [2];
  input.advance();
  assert.deepEqual([taker.ended, input.ending], [0, true]);
  taker.amounts = [1];
  input.advance();
  input.advance();
  assert.deepEqual([taker.taken, taker.ended, input.ending], ["abc", 1, false]);

  const begun = setUp();
  begun.taker.wantsMore = true;
  begun.input.received(octets("ab"));
  assert.ok(!begun.transport.isPaused);
  begun.input.ended();
  assert.equal(begun.taker.ended, 1, "more of what has begun will not come");
});

Deno.test("the transport is paused while octets wait, or 64 KiB are outstanding", () => {
  const { taker, transport, input } = setUp();
  input.received(octets("ab"));
  assert.ok(transport.isPaused);
  taker.amounts = [2];
  input.advance();
  assert.ok(!transport.isPaused);

  taker.amounts = [1];
  input.handedOn(65535);
  input.received(octets("c"));
  assert.deepEqual([input.room, transport.isPaused], [1, false]);
  input.handedOn(1);
  taker.amounts = [1];
  input.received(octets("d"));
  assert.deepEqual([input.room, transport.isPaused], [0, true]);
  input.credit(32767);
  assert.deepEqual([input.room, transport.isPaused], [0, true]);
  input.credit(1);
  assert.deepEqual([input.room, transport.isPaused], [32768, false]);
});

Deno.test("what has stopped takes nothing", () => {
  const { taker, input } = setUp();
  input.received(octets("ab"));
  input.stop();
  taker.amounts = [1, 1, 1];
  input.advance();
  input.received(octets("cd"));
  input.ended();
  assert.deepEqual([taker.taken, taker.ended, input.waiting], ["", 0, 0]);
});
