/**
 * Every operating error has a code here; `docs/reference/errors.md` is compared with this table by a test.
 * `status` is the HTTP status when the error ends a request, `retry` says whether the same call may succeed
 * later.
 */
export type ErrorEntry = { status: number; retry: boolean; means: string }

export const errorRegister = {
  BLOBS_REFUSED: {
    status: 500,
    retry: false,
    means: 'The object store refused; the message names the bucket, the cause and what to set.',
  },
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
  DEAD_LETTER_LIMIT: {
    status: 500,
    retry: false,
    means: 'More messages of a partition became dead letters than the storage allows; nothing was settled.',
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
  GROUP_IN_USE: {
    status: 409,
    retry: false,
    means: 'The position of a group cannot be set while somebody reads for it.',
  },
  JOBS_FULL: {
    status: 503,
    retry: true,
    means: 'More jobs wait than the queue may hold.',
  },
  JOB_INVALID: {
    status: 400,
    retry: false,
    means: 'A job that was to be created or changed breaks a rule of the queue.',
  },
  LEASE_LOST: {
    status: 500,
    retry: false,
    means: 'A consumer used a partition that is no longer leased to it.',
  },
  LOG_CORRUPT: { status: 500, retry: false, means: 'A segment of the log does not match its checksums.' },
  LOG_FOREIGN: {
    status: 500,
    retry: false,
    means: 'A log that several processes share has worked with another relational store.',
  },
  LOG_FULL: {
    status: 503,
    retry: true,
    means: 'The disk budget of the log is full of records that nobody has settled yet.',
  },
  LOG_LOCKED: { status: 500, retry: false, means: 'Another process has the data directory open.' },
  LOG_UNAVAILABLE: { status: 503, retry: true, means: 'The log could not be read or written.' },
  MESSAGE_REJECTED: {
    status: 400,
    retry: false,
    means: 'A test endpoint was given a message that cannot become rows; nothing was written.',
  },
  METHOD_UNKNOWN: { status: 405, retry: false, means: 'The path exists, but not with this method.' },
  MIGRATION_FAILED: {
    status: 500,
    retry: false,
    means: 'A migration failed or does not match what was applied before.',
  },
  OFFSET_OUT_OF_RANGE: {
    status: 500,
    retry: false,
    means: 'A position lies where the log has no records; the message names the command that sets it anew.',
  },
  OPTION_INVALID: {
    status: 400,
    retry: false,
    means: 'A live option is unknown, or its value does not fit.',
  },
  OUTBOUND_BUSY: { status: 503, retry: true, means: 'Too many outbound requests wait already.' },
  OUTBOUND_FAILED: {
    status: 502,
    retry: true,
    means: 'An outbound request got no answer: the connection could not be made, or broke off.',
  },
  OUTBOUND_REFUSED: {
    status: 403,
    retry: false,
    means: 'An outbound request goes where it may not, or breaks another rule of the address policy.',
  },
  OUTBOUND_TIMEOUT: { status: 504, retry: true, means: 'An outbound request took longer than it may.' },
  OUTBOUND_TOO_LARGE: {
    status: 502,
    retry: false,
    means: 'An outbound request or its answer is larger than it may be.',
  },
  PAYLOADS_INVALID: {
    status: 400,
    retry: false,
    means: 'There is nothing to prove a processor with, or a payload cannot be read.',
  },
  PLUGIN_INVALID: {
    status: 400,
    retry: false,
    means: 'A plugin cannot be read, does not load, or has nothing for events; the message says where.',
  },
  PORT_UNUSABLE: {
    status: 500,
    retry: false,
    means: 'The server cannot listen on its address: the port is taken, or not allowed.',
  },
  PROCESSOR_FAILED: {
    status: 500,
    retry: false,
    means: 'The thread of a message processor ends again and again before it has read a message.',
  },
  PROCESSOR_INVALID: {
    status: 500,
    retry: false,
    means: 'The module of a message processor does not load, or is none; the message names the file.',
  },
  PROCESSOR_UNKNOWN: {
    status: 500,
    retry: false,
    means: 'A storage has no message processor of the kind that was asked for.',
  },
  RECORD_TOO_LARGE: { status: 413, retry: false, means: 'A record is larger than the log accepts.' },
  REQUEST_INVALID: { status: 400, retry: false, means: 'A request could not be understood.' },
  ROUTE_UNKNOWN: { status: 404, retry: false, means: 'There is nothing at this path.' },
  SANDBOX_BUSY: { status: 503, retry: true, means: 'Too many calls wait for the sandbox.' },
  SANDBOX_CLOSED: {
    status: 503,
    retry: false,
    means: 'The sandbox, or the program that was called, has been closed.',
  },
  SANDBOX_INPUT_TOO_LARGE: {
    status: 413,
    retry: false,
    means: 'A call of the sandbox has more items or characters than it may.',
  },
  SANDBOX_PROGRAM_INVALID: {
    status: 400,
    retry: false,
    means: 'A program does not load in the sandbox; the message says why.',
  },
  SANDBOX_SETUP_FAILED: {
    status: 500,
    retry: true,
    means: 'The setup of a program in the sandbox failed; the message is its own.',
  },
  SANDBOX_UNAVAILABLE: {
    status: 503,
    retry: true,
    means: 'A child process of the sandbox does not start, or this machine has no binary for it.',
  },
  SERVER_BUSY: {
    status: 503,
    retry: true,
    means: 'The server holds as many requests, or as many bytes of them, as it may.',
  },
  SERVER_FAILED: { status: 500, retry: false, means: 'An unexpected failure; the log tells more.' },
  SERVER_STARTING: { status: 503, retry: true, means: 'Rowmill is starting; its engines are not there yet.' },
  STORAGE_INVALID: {
    status: 500,
    retry: false,
    means: 'The YAML of a storage is wrong; each finding has its file, line and column.',
  },
  STORAGE_UNKNOWN: {
    status: 404,
    retry: false,
    means: 'There is no storage of this name; the message lists those that there are.',
  },
  TABLE_MISMATCH: {
    status: 500,
    retry: false,
    means:
      'A table of the warehouse lacks what a storage writes; the message names the command that mends it.',
  },
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
