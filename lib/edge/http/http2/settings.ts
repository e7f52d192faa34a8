/**
 * The peer's SETTINGS (RFC 9113 §6.5).
 *
 * @module
 */

import * as h2 from "../../../wire/http2_frames.ts";

/** What a frame of SETTINGS sets; of what it sets twice, the last. */
export interface ReceivedSettings {
  /** All of them: the encoder has to tell the least (RFC 7541 §4.2). */
  headerTableSizes?: number[];
  enablePush?: boolean;
  maxConcurrentStreams?: number;
  initialWindowSize?: number;
  enableConnectProtocol?: boolean;
}

/** Seven are known to us; some peers add others, to see that they are passed over. */
const MAX_SETTINGS = 64;

/** Reads the payload of SETTINGS. @throws {h2.Http2Error} If it breaks a rule. */
export function readSettings(payload: Uint8Array): ReceivedSettings {
  if (payload.length % 6 !== 0) throw new h2.Http2Error("FRAME_SIZE_ERROR", "SETTINGS of the wrong length");
  if (payload.length > 6 * MAX_SETTINGS) throw new h2.Http2Error("ENHANCE_YOUR_CALM", "SETTINGS without end");
  const settings: ReceivedSettings = {};
  for (let at = 0; at < payload.length; at += 6) {
    readSetting(settings, ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0), h2.uint32At(payload, at + 2));
  }
  return settings;
}

function readSetting(settings: ReceivedSettings, id: number, value: number): void {
  switch (id) {
    case h2.SETTINGS_HEADER_TABLE_SIZE:
      (settings.headerTableSizes ??= []).push(value);
      return;
    case h2.SETTINGS_ENABLE_PUSH:
      if (value > 1) throw h2.breach("ENABLE_PUSH is neither 0 nor 1");
      settings.enablePush = value === 1;
      return;
    case h2.SETTINGS_MAX_CONCURRENT_STREAMS:
      settings.maxConcurrentStreams = value;
      return;
    case h2.SETTINGS_INITIAL_WINDOW_SIZE:
      if (value > h2.MAX_WINDOW) throw new h2.Http2Error("FLOW_CONTROL_ERROR", "INITIAL_WINDOW_SIZE over 2^31-1");
      settings.initialWindowSize = value;
      return;
    case h2.SETTINGS_MAX_FRAME_SIZE:
      if (value < h2.MAX_FRAME_LENGTH || value > 2 ** 24 - 1) throw h2.breach("MAX_FRAME_SIZE out of range");
      return; // Larger frames would hold up the other streams, and need larger buffers.
    case h2.SETTINGS_ENABLE_CONNECT_PROTOCOL:
      if (value > 1) throw h2.breach("ENABLE_CONNECT_PROTOCOL is neither 0 nor 1");
      settings.enableConnectProtocol = value === 1;
      return;
  }
}
