/**
 * Every operating error has a code here; `docs/reference/errors.md` is compared with this table by a test.
 * `status` is the HTTP status when the error ends a request, `retry` says whether the same call may succeed
 * later.
 */
export type ErrorEntry = { status: number; retry: boolean; means: string }

export const errorRegister = {
  BLOBS_UNAVAILABLE: { status: 503, retry: true, means: 'The blob store could not be read or written.' },
  BLOB_KEY_INVALID: {
    status: 400,
    retry: false,
    means: 'A blob key has a character or a length that is not allowed.',
  },
  BODY_STALLED: { status: 408, retry: true, means: 'The client stopped sending its request body.' },
  BODY_TOO_LARGE: {
    status: 413,
    retry: false,
    means: 'A request is larger than its route accepts, packed or unpacked.',
  },
  CACHE_UNAVAILABLE: { status: 503, retry: true, means: 'The cache could not be reached.' },
  CACHE_WRONG_KIND: {
    status: 500,
    retry: false,
    means: 'A cache key holds another kind of value than the operation needs.',
  },
  CONFIG_INVALID: {
    status: 500,
    retry: false,
    means: 'A setting is wrong or contradicts another; the message says what to set.',
  },
  DATABASE_REFUSED: { status: 500, retry: false, means: 'PostgreSQL refused a statement.' },
  DATABASE_UNAVAILABLE: {
    status: 503,
    retry: true,
    means: 'PostgreSQL could not be reached, or is starting.',
  },
  DATA_DIR_UNUSABLE: {
    status: 500,
    retry: false,
    means: 'The data folder cannot be made, read or written.',
  },
  ENGINE_FAILED: {
    status: 503,
    retry: false,
    means: 'An engine that Rowmill runs did not start or stopped for good.',
  },
  EVENT_INVALID: {
    status: 400,
    retry: false,
    means: 'A request to capture could not be understood, or holds an event that breaks the rules.',
  },
  LEASE_LOST: {
    status: 500,
    retry: false,
    means: 'A consumer used a partition that is no longer leased to it.',
  },
  LOG_CORRUPT: { status: 500, retry: false, means: 'A segment of the log does not match its checksums.' },
  LOG_FULL: {
    status: 503,
    retry: true,
    means: 'The disk budget of the log is full of records that nobody has settled yet.',
  },
  LOG_LOCKED: { status: 500, retry: false, means: 'Another process has the data directory open.' },
  LOG_UNAVAILABLE: { status: 503, retry: true, means: 'The log could not be read or written.' },
  METHOD_UNKNOWN: { status: 405, retry: false, means: 'The path exists, but not with this method.' },
  MIGRATION_FAILED: {
    status: 500,
    retry: false,
    means: 'A migration failed or does not match what was applied before.',
  },
  PORT_UNUSABLE: {
    status: 500,
    retry: false,
    means: 'The server cannot listen on its address: the port is taken, or not allowed.',
  },
  RECORD_TOO_LARGE: { status: 413, retry: false, means: 'A record is larger than the log accepts.' },
  ROUTE_UNKNOWN: { status: 404, retry: false, means: 'There is nothing at this path.' },
  SERVER_BUSY: {
    status: 503,
    retry: true,
    means: 'The server holds as many requests, or as many bytes of them, as it may.',
  },
  SERVER_FAILED: { status: 500, retry: false, means: 'An unexpected failure; the log tells more.' },
  TOKEN_INVALID: {
    status: 401,
    retry: false,
    means: 'A request to capture has no usable project token.',
  },
  TOPIC_UNKNOWN: { status: 500, retry: false, means: 'A topic does not exist on the log.' },
  WAREHOUSE_REFUSED: {
    status: 400,
    retry: false,
    means: 'ClickHouse refused a statement; its code and position are in the message.',
  },
  WAREHOUSE_UNAVAILABLE: {
    status: 503,
    retry: true,
    means: 'ClickHouse could not be reached or has no room.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorRegister
