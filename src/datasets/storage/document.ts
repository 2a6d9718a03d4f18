/**
 * The form of a storage's YAML. `storages/storage.schema.json` is made of it, and so is the reference page.
 * Unknown keys are refused; what is only wrong together with something else is in `rules.ts`.
 */
import { z } from 'zod'
import { settingsDocument, tableDocument } from './table-document.ts'

const topic = (description: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,249}$/, 'is 1 to 249 letters, digits, dots, _ and -')
    .meta({ description })

const name = (description: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'is up to 64 small letters, digits, _ and -, a letter first')
    .meta({ description })

/** Change of rows by messages that are no rows themselves: the kinds there are. */
export const replacerNames = ['errors'] as const

const streamDocument = z.strictObject({
  topic: topic('Where the messages are read.'),
  commit_log_topic: topic('Where each written batch is announced.').optional(),
  dlq_topic: topic(
    'Where messages go that cannot become rows. Without it, to the dead letters of all.',
  ).optional(),
  replacement_topic: topic('Where messages go that change rows; needs `replacer`.').optional(),
  schema: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'File with the JSON Schema of a message, relative to this file.' }),
  pre_filter: z
    .strictObject({
      header: z.string().min(1).meta({ description: 'Name of a header.' }),
      equals: z.string().meta({ description: 'Its value.' }),
    })
    .optional()
    .meta({ description: 'A message without this header, or with another value, is skipped unread.' }),
})

const processorDocument = z.strictObject({
  built_in: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Name of a processor of this program. Give this or `module`.' }),
  module: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'File with a processor of your own, relative to this file.' }),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .meta({ description: 'What the processor itself understands.' }),
})

const writerDocument = z.strictObject({
  format: z.enum(['JSONEachRow', 'RowBinary', 'Native']).default('JSONEachRow').meta({
    description:
      'Format of the rows. Not every processor writes RowBinary. Native is by columns, and quickest; a processor of your own that has no columns writes JSONEachRow then.',
  }),
  batch: z
    .strictObject({
      rows_max: z.int().min(1).max(1_000_000).default(50_000).meta({ description: 'Messages of an insert.' }),
      bytes_max: z
        .int()
        .min(1)
        .max(1024 * 1024 * 1024)
        .default(64 * 1024 * 1024)
        .meta({ description: 'Bytes of messages of an insert.' }),
      wait_ms: z
        .int()
        .min(0)
        .max(600_000)
        .default(2000)
        .meta({ description: 'How long an insert waits to fill after its first message.' }),
    })
    .prefault({})
    .meta({ description: 'An insert goes when the first of these is reached.' }),
  compression: z
    .enum(['none', 'lz4', 'zstd'])
    .default('none')
    .meta({ description: 'How the rows are packed on their way to ClickHouse.' }),
  settings: settingsDocument.default({}).meta({ description: 'Insert settings of ClickHouse.' }),
})

const deadLettersDocument = z.strictObject({
  max_by_reason: z
    .record(z.string(), z.int().min(0))
    .default({})
    .meta({ description: 'Limit by reason, since the partition was taken.' }),
  ratio: z
    .strictObject({
      max: z.number().gt(0).max(1).meta({ description: 'Share of dead letters, more than 0 up to 1.' }),
      window: z.int().min(1).max(1_000_000).meta({ description: 'Among this many last messages.' }),
    })
    .optional()
    .meta({ description: 'Share of dead letters among the last messages of a partition.' }),
  consecutive_max: z.int().min(1).optional().meta({ description: 'Dead letters of a partition in a row.' }),
})

const days = (value: number, description: string) =>
  z.int().min(1).max(65_535).default(value).meta({ description })

const retentionDocument = z.strictObject({
  default_days: days(90, 'For messages that ask for nothing, or for too much.'),
  lower_days: days(30, 'For messages that ask for a shorter period that is not valid.'),
  valid_days: z
    .array(z.int().min(1).max(65_535))
    .min(1)
    .default([30, 90])
    .meta({ description: 'Periods that a message may ask for.' }),
})

export const storageDocument = z
  .strictObject({
    version: z.literal('v1').meta({ description: 'Version of this form.' }),
    kind: z.literal('storage').meta({ description: 'What this file is.' }),
    name: name(
      'Unique. Names the storage on the command line, in metrics, and in its group `datasets-<name>`.',
    ),
    set: name('Storages of a set live in one cluster.'),
    description: z.string().trim().min(1).meta({ description: 'One sentence.' }),
    stream: streamDocument.meta({ description: 'Where the messages come from.' }),
    processor: processorDocument.meta({ description: 'What makes rows of them.' }),
    tables: z.array(tableDocument).min(1).max(15).meta({ description: "The first is the storage's own." }),
    writer: writerDocument.prefault({}).meta({ description: 'How rows get there.' }),
    dead_letters: deadLettersDocument.prefault({}).meta({
      description: 'When to stop instead of setting more messages aside. Needs a `dlq_topic`.',
    }),
    retention: retentionDocument.prefault({}).meta({ description: 'How long rows are kept.' }),
    replacer: z
      .strictObject({
        built_in: z.enum(replacerNames).meta({ description: 'Name of a replacer of this program.' }),
        options: z.record(z.string(), z.unknown()).default({}).meta({ description: 'What it understands.' }),
      })
      .optional()
      .meta({ description: 'What changes rows. Needs a `replacement_topic`.' }),
    has_ledger: z.boolean().default(true).meta({
      description:
        'false for the ledger and the drops themselves, whose own entries would feed them for ever.',
    }),
  })
  .meta({ title: 'A storage of Rowmill', description: 'A topic, a processor and the tables it fills.' })

export type StorageDocument = z.output<typeof storageDocument>
