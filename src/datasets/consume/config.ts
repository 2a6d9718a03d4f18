import { z } from 'zod'
import { deadLettersConfig } from '../dead-letters/config.ts'
import { replacerConfig } from '../replace/config.ts'
import { testingConfig } from '../testing/config.ts'
import { processorConfig } from '../user/config.ts'

/** What the role `consumer` runs, and how. Batches are cut as a storage says unless a key here says otherwise. */
export const consumerConfig = z.strictObject({
  storages: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'Storages that the role consumer fills, by name.' }),
  storageFiles: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: "YAML files of storages beside the program's own." }),
  storageFolders: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: "Folders whose YAML files are storages beside the program's own." }),
  group: z
    .string()
    .regex(/^[\w.-]{1,200}$/, 'is 1 to 200 letters, digits, dots, _ and -')
    .optional()
    .meta({ description: 'Consumer group, instead of datasets-<storage> for each.' }),
  offsetReset: z.enum(['earliest', 'latest', 'error']).default('earliest').meta({
    description: 'Where a group begins that has no position yet; error refuses to begin.',
  }),
  isOffsetResetStrict: z.boolean().default(true).meta({
    description:
      'Stop when the log no longer has the records at a position, instead of going on behind them.',
  }),
  instanceId: z.string().trim().min(1).optional().meta({
    description:
      'Name of this member of the group that outlives restarts, for Kafka; the embedded log needs none.',
  }),
  rebalanceDelaySeconds: z.int().min(0).default(0).meta({
    description:
      'Join and leave the group only at multiples of so many seconds, so that many consumers do it at once.',
  }),
  drainMs: z.int().min(0).optional().meta({
    description: 'After a stop, how long the batches in hand may take, instead of stream.drainMs.',
  }),
  batchRecordsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .meta({ description: 'Messages of one insert, instead of what the storage says.' }),
  batchBytesMax: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Bytes of messages of one insert, instead of what the storage says.' }),
  batchWaitMs: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'How long an insert waits to fill, instead of what the storage says.' }),
  deadLetterBufferRecordsMax: z.int().min(1).optional().meta({
    description:
      'Most messages of a partition that are held until they are settled, to be set aside if need be: a smaller number than that of an insert makes inserts smaller.',
  }),
  concurrency: z.int().min(1).max(64).default(1).meta({
    description: 'Threads that run the processor of a storage. 1 runs a built-in one in the main thread.',
  }),
  batchesInHandMax: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .meta({ description: 'Batches of different partitions of a storage that are written side by side.' }),
  processor: processorConfig
    .extend({
      kind: z.enum(['built-in', 'user']).optional().meta({
        description:
          "Insist on the built-in processor of the storages, or on a user's; none takes another's place.",
      }),
      module: z
        .string()
        .min(1)
        .optional()
        .meta({ description: "A user's processor, instead of the one in the storage's YAML." }),
    })
    .prefault({}),
  isSchemaEnforced: z.boolean().default(false).meta({
    description: 'Messages that do not match the JSON Schema of their topic are dead letters.',
  }),
  schemaChecksPerBatchMax: z.int().min(0).default(1000).meta({
    description:
      'Where the schema is not enforced: messages of a batch that are checked all the same, and counted.',
  }),
  isWriteSkipped: z.boolean().default(false).meta({
    description:
      'Read and settle, and write nothing: no rows, no dead letters, no replacements, no commit log.',
  }),
  dryRunMs: z.int().min(0).optional().meta({
    description:
      'Process only: an insert is a wait of so many ms, and nothing is settled or written anywhere.',
  }),
  stopAtSeconds: z.int().min(0).optional().meta({
    description: 'Messages that were appended after this second since 1970 give no rows.',
  }),
  endsWhenDone: z.boolean().default(false).meta({
    description: 'End when what was there at the start, or up to stopAtSeconds, is settled.',
  }),
  healthFile: z.string().min(1).optional().meta({
    description: 'A file that is touched once a second while the consumer gets on with its work.',
  }),
  createsTables: z
    .boolean()
    .default(true)
    .meta({ description: 'Create the tables of the storages that are missing.' }),
  topicPartitions: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .meta({ description: 'Partitions of a topic that does not exist yet.' }),
  rawTopic: z.string().min(1).optional().meta({ description: "Topic to read, instead of the storage's." }),
  commitLogTopic: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "Topic of the commit log, instead of the storage's." }),
  replacementTopic: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "Topic of replacements, instead of the storage's." }),
  deadLetters: deadLettersConfig.prefault({}),
  replacer: replacerConfig.prefault({}),
  liveOptionsPollIntervalMs: z
    .int()
    .min(100)
    .default(5000)
    .meta({ description: 'How often live options are read again, should a notice be missed.' }),
  testing: testingConfig.prefault({}),
})

export type ConsumerConfig = z.infer<typeof consumerConfig>
