/**
 * TLS on a socket of the worker's, once its handshake is done.
 *
 * @module
 */

import { BROKEN, ENDED, type Tls, WANT_WRITE } from "./libssl/connection.ts";
import { SEND_BROKEN, SocketTransport } from "./socket_transport.ts";

/** As much as one turn reads of one connection: then others have theirs. */
const MOST_READ = 128 * 1024;

/** No record carries more (RFC 8446 §5.1). */
const RECORD = 16 * 1024;

/** See the module. */
export abstract class TlsTransport extends SocketTransport {
  bytesRead = 0;
  bytesWritten = 0;
  /** `undefined` before the handshake begins. */
  protected tls: Tls | undefined;
  /**
   * What came with the end of the handshake is kept for the keys that follow it, where OpenSSL from 3.2 on does not count
   * it among what SSL_has_pending(3) tells. So it is read once, whatever that says.
   */
  #isUnread = true;

  protected get hasPending(): boolean {
    return this.#isUnread || this.tls?.hasPending === true;
  }

  /** Reads record by record, and tells of all of them at once: what follows costs by the call. */
  protected readable(): void {
    const { tls } = this;
    if (tls === undefined) return;
    this.#isUnread = false;
    const { buffer } = this.thread;
    let filled = 0;
    let result = tls.read(buffer, buffer.length);
    while (result > 0) {
      filled += result;
      if (filled > MOST_READ - RECORD || !tls.hasPending) break;
      result = tls.read(buffer.subarray(filled), buffer.length - filled);
    }
    if (filled > 0) {
      this.bytesRead += filled;
      this.passedIn(filled);
      this.events?.received(buffer.subarray(0, filled));
      if (this.over) return;
    }
    if (result === ENDED) this.inputCut(tls.isGone);
    else if (result === BROKEN) this.broken(tls.error);
    else if (result > 0 && !this.paused && tls.hasPending) this.readOnLater();
  }

  /** The peer sends no more. @param isCut It did not say so: no close_notify came. */
  protected inputCut(_isCut: boolean): void {
    this.endInput();
  }

  protected send(bytes: Uint8Array<ArrayBuffer>): number {
    const { tls } = this;
    if (tls === undefined) return SEND_BROKEN;
    let sent = 0;
    while (sent < bytes.length) {
      const result = tls.write(sent === 0 ? bytes : bytes.subarray(sent), bytes.length - sent);
      if (result === BROKEN || result === ENDED) return SEND_BROKEN;
      if (result <= 0) break; // the same bytes have to come again
      sent += result;
    }
    this.bytesWritten += sent;
    this.passedOut(sent);
    return sent;
  }

  protected shut(): boolean {
    if (this.tls?.shutdown() === WANT_WRITE) return false;
    this.thread.libc.shutdown(this.fd);
    return true;
  }

  protected override release(): void {
    this.tls?.free();
    this.tls = undefined;
  }

  /** So many bytes passed, without those of TLS. */
  protected passedIn(_bytes: number): void {}
  protected passedOut(_bytes: number): void {}
}
