import { z } from 'zod'

const count = (value: number, min: number, description: string) =>
  z.number().int().min(min).default(value).meta({ description })

/** The ClickHouse that Rowmill runs itself, when no other one is named. */
export const chdbConfigSchema = z.strictObject({
  port: z.number().int().min(0).max(65_535).default(0).meta({
    description: 'Loopback port of the embedded ClickHouse; 0 takes a free one.',
  }),
  memoryBytesMax: count(2_147_483_648, 268_435_456, 'Memory that the embedded ClickHouse may use in all.'),
  queryMemoryBytesMax: count(
    1_073_741_824,
    1_048_576,
    'Memory that one query may use unless it says otherwise.',
  ),
  queryTimeMaxSeconds: count(300, 1, 'How long one query may run unless it says otherwise.'),
  markCacheBytes: count(67_108_864, 1_048_576, 'Memory for the index marks of columns.'),
  mergeThreads: count(2, 1, 'Threads that merge parts in the background.'),
  queriesMax: z.number().int().min(1).max(64).default(8).meta({
    description: 'Queries and inserts that run at once.',
  }),
  queueMax: count(128, 0, 'Queries and inserts that wait for their turn; more are refused with 503.'),
  queryBytesMax: count(1_048_576, 1024, 'Longest text of a query, without the data of an INSERT.'),
  bodyBytesMax: count(4_294_967_296, 1_048_576, 'Largest data of one INSERT, unpacked.'),
  answerBufferBytes: count(
    1_048_576,
    1024,
    'How much of an answer is held back before it is sent, so that an early error still has its status.',
  ),
  clientStallMs: count(
    60_000,
    10,
    'How long a client may leave its answer unread before its query is ended.',
  ),
  sessionsMax: count(64, 1, 'HTTP sessions (session_id) that are open at once.'),
  lockWaitMs: count(5000, 0, 'How long a start waits for the folder when a host of before still has it.'),
  readyWithinMs: count(60_000, 1000, 'How long the embedded ClickHouse may take to start.'),
  stopGraceMs: count(10_000, 100, 'How long running queries may go on at a stop before they are ended.'),
  pingIntervalMs: count(5000, 10, 'How often the embedded ClickHouse is asked whether it is there.'),
  silenceMsMax: count(60_000, 100, 'How long it may be silent before it is killed and started again.'),
  freeBytesMin: count(
    134_217_728,
    0,
    'Free disk space in bytes below which inserts wait; merges wait below twice as much.',
  ),
  freeShareMax: z.number().min(0).max(0.5).default(0.04).meta({
    description: 'freeBytesMin is never more than this share of the disk.',
  }),
  diskCheckIntervalMs: count(1000, 10, 'How often free disk space and failed writes are looked at.'),
  damageMsMax: count(
    120_000,
    0,
    'After a failed write the embedded ClickHouse starts anew when the disk has room, or after this time.',
  ),
  oldPartsLifetimeSeconds: count(
    240,
    0,
    'How long the sources of a merge are kept, in case that its result turns out to be broken.',
  ),
  startsMax: count(10, 1, 'Starts within startsWindowMs before Rowmill gives up, as long as none succeeded.'),
  startsWindowMs: count(60_000, 1000, 'The time in which startsMax starts are counted.'),
})

export type ChdbConfig = z.output<typeof chdbConfigSchema>
