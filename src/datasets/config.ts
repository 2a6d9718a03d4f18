import { z } from 'zod'

/** How ready messages are gathered into inserts. */
export const datasetsConfig = z.strictObject({
  batchRecordsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .meta({ description: 'Messages in one insert of a dataset, instead of what its storage says (10 000).' }),
  batchBytesMax: z.int().min(1).optional().meta({
    description: 'Bytes of messages in one insert of a dataset, instead of what its storage says (8 MiB).',
  }),
  batchWaitMs: z.int().min(0).optional().meta({
    description:
      'How long an insert waits to fill after its first message, instead of what the storage says (250 ms).',
  }),
  quietBatchWaitMs: z.int().min(0).optional().meta({
    description:
      'The same for the storages that wait a second or more by themselves: the ledger, drops, warnings and app metrics, for which nobody waits.',
  }),
  replayMessageBytesMax: z
    .int()
    .min(1)
    .default(64 * 1024 * 1024)
    .meta({
      description: 'Bytes of a replay message after decompression; a larger one is a dead letter.',
    }),
  replayUrlsMax: z.int().min(0).default(25).meta({ description: 'Addresses kept of one session and batch.' }),
  replayWritesMax: z.int().min(1).default(4).meta({
    description: 'Replay blocks that one batch writes to the blob store side by side.',
  }),
})

export type DatasetsConfig = z.infer<typeof datasetsConfig>
