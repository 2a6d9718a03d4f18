import { z } from 'zod'

/** How stages read, retry and stop: the same for every stage unless its role says otherwise. */
export const streamConfig = z.strictObject({
  batchRecordsMax: z.int().min(1).default(1000).meta({ description: 'Records in one batch of a stage.' }),
  batchBytesMax: z
    .int()
    .min(1)
    .default(4 * 1024 * 1024)
    .meta({ description: 'Bytes in one batch of a stage; a single larger record is a batch of its own.' }),
  batchWaitMs: z
    .int()
    .min(0)
    .default(20)
    .meta({ description: 'How long a batch waits to fill after its first record.' }),
  batchesInHandMax: z
    .int()
    .min(1)
    .default(4)
    .meta({ description: 'Batches of different partitions that one stage processes side by side.' }),
  retryDelayMs: z
    .int()
    .min(1)
    .default(100)
    .meta({ description: 'First wait before a batch is tried again; it doubles from there.' }),
  retryDelayMaxMs: z
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Longest wait before a batch is tried again.' }),
  drainMs: z
    .int()
    .min(0)
    .default(10_000)
    .meta({ description: 'After a stop, how long the batches in hand may take to finish.' }),
  joinWaitMs: z.int().min(0).default(60_000).meta({
    description:
      'How long a process that holds no partition of a stage counts as not ready; then it stands by for the others.',
  }),
  stuckMs: z
    .int()
    .min(1000)
    .default(600_000)
    .meta({ description: 'A batch that is in hand for longer makes the process not ready.' }),
  lagIntervalMs: z
    .int()
    .min(100)
    .default(5000)
    .meta({ description: 'How often the number of unsettled records is measured.' }),
})

export type StreamConfig = z.infer<typeof streamConfig>
