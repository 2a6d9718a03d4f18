/** Settings of the embedded log. Every bound of its memory, its disk and its queues is here. */
import { z } from 'zod'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

export const embeddedLogConfig = z.strictObject({
  bytesMax: z
    .number()
    .int()
    .positive()
    .default(20 * GiB)
    .describe('Disk budget in bytes. When it is full of records that are not settled, appends are refused.'),
  reserveShare: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.1)
    .describe(
      'Share of bytesMax that only commits may use, so that consumers go on when appends are refused.',
    ),
  segmentBytes: z
    .number()
    .int()
    .positive()
    .max(1 * GiB)
    .default(64 * MiB)
    .describe('Size in bytes at which a segment file is sealed and the next one begun.'),
  recordBytesMax: z
    .number()
    .int()
    .positive()
    .max(512 * MiB)
    .default(32 * MiB)
    .describe('Largest record in bytes: key, value and headers together.'),
  appendQueueBytesMax: z
    .number()
    .int()
    .positive()
    .default(256 * MiB)
    .describe('Bytes of appends that may wait for the disk. Further appends are refused.'),
  frameBytesMax: z
    .number()
    .int()
    .positive()
    .max(256 * MiB)
    .default(8 * MiB)
    .describe('Bytes that one write gathers from the queue. A larger single append is written alone.'),
  chunkBytesMax: z
    .number()
    .int()
    .positive()
    .default(256 * KiB)
    .describe('Bytes of one partition that are indexed and checksummed as one piece.'),
  cacheBytesMax: z
    .number()
    .int()
    .nonnegative()
    .default(64 * MiB)
    .describe('Bytes of the newest records kept in memory, so that readers at the end do not read the disk.'),
  indexCacheBytesMax: z
    .number()
    .int()
    .nonnegative()
    .default(32 * MiB)
    .describe('Bytes of the indexes of sealed segments kept in memory.'),
  readBytesMax: z
    .number()
    .int()
    .positive()
    .default(1 * MiB)
    .describe('Bytes that one read of a segment file asks for.'),
  openFilesMax: z
    .number()
    .int()
    .positive()
    .default(64)
    .describe('Sealed segment files that stay open for reading.'),
  retentionCheckIntervalMs: z
    .number()
    .int()
    .positive()
    .default(10_000)
    .describe('Time in ms between two looks for records that may go.'),
  rewriteShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.25)
    .describe('A sealed segment is rewritten without its dead records when less than this share is alive.'),
  freeBytesMin: z
    .number()
    .int()
    .nonnegative()
    .default(512 * MiB)
    .describe(
      'Free disk space in bytes below which appends are refused, so that what was accepted can be finished.',
    ),
  freeShareMax: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.1)
    .describe('freeBytesMin is never more than this share of the disk.'),
  freeCheckIntervalMs: z
    .number()
    .int()
    .nonnegative()
    .default(100)
    .describe('How long what was seen of the free disk space is believed.'),
  diskReserveBytes: z
    .number()
    .int()
    .nonnegative()
    .default(1 * MiB)
    .describe('Bytes held on disk for settling commits when the disk itself is full.'),
})

export type EmbeddedLogConfig = z.infer<typeof embeddedLogConfig>
