/**
 * How large the head of a message may be.
 *
 * @module
 */

import type { HeadLimits } from "../../wire/http1_head.ts";

/** The same for both versions: HTTP/2 counts the fields as it announces, see `MAX_HEADER_LIST`. */
export const HEAD_LIMITS: HeadLimits = { maxLength: 64 * 1024, maxFields: 256 };
