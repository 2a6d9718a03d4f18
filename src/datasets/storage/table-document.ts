/**
 * The form of a table in a storage's YAML. Types, expressions and codecs are ClickHouse's own words; what they
 * mean is ClickHouse's affair, that they hold together is checked by `table-rules.ts`.
 */
import { z } from 'zod'

const words = (description: string) => z.string().trim().min(1).meta({ description })

const tableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is letters, digits and _')

const columnName = (description: string) => z.string().min(1).meta({ description })

export const settingsDocument = z.record(
  z.string().regex(/^[a-z][a-z0-9_]*$/, 'is no name of a setting'),
  z.union([z.string(), z.number()]),
)

const columnDocument = z.strictObject({
  name: z
    .string()
    .regex(/^[^\p{Cc}`\\]{1,200}$/u, 'is 1 to 200 characters without control characters, ` and \\')
    .meta({ description: 'Name of the column, such as `project_id` or `tags.key`.' }),
  type: words('Type, as ClickHouse names it.'),
  default: z
    .union([z.string().trim().min(1), z.number()])
    .transform(String)
    .optional()
    .meta({
      description:
        'Expression for rows that leave the column out. Text needs quotes of its own: `"\'none\'"`.',
    }),
  materialized: words('Expression that is always computed and never inserted.').optional(),
  alias: words('Expression that is computed when the column is read.').optional(),
  codec: words('How it is compressed, such as `DoubleDelta, LZ4`.').optional(),
  ttl: words('When the value is forgotten, such as `timestamp + toIntervalDay(30)`.').optional(),
})

const indexDocument = z.strictObject({
  name: tableName.meta({ description: 'Name of the index.' }),
  expression: words('What is indexed.'),
  type: words('Kind of index, such as `bloom_filter(0.01)` or `minmax`.'),
  granularity: z.int().min(1).default(1).meta({ description: 'Granules in one block of the index.' }),
})

const engineDocument = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['MergeTree', 'SummingMergeTree', 'AggregatingMergeTree']) }),
  z.strictObject({
    kind: z.literal('ReplacingMergeTree'),
    version: columnName(
      'ReplacingMergeTree: of rows with one key, the one with the greatest value stays.',
    ).optional(),
    is_deleted: columnName(
      'ReplacingMergeTree: a row with 1 here takes its key away; needs `version`.',
    ).optional(),
  }),
  z.strictObject({
    kind: z.literal('CollapsingMergeTree'),
    sign: columnName('CollapsingMergeTree: 1 adds a row, -1 takes it back.'),
  }),
])

export const tableDocument = z.strictObject({
  name: tableName.meta({ description: 'Name of the table.' }),
  columns: z.array(columnDocument).min(1).meta({ description: 'In their order.' }),
  indices: z.array(indexDocument).default([]).meta({ description: 'Data-skipping indices.' }),
  engine: engineDocument.meta({ description: 'How rows merge.' }),
  order_by: z.array(words('A column or an expression.')).min(1).meta({ description: 'The sorting key.' }),
  primary_key: z
    .array(words('A column or an expression.'))
    .default([])
    .meta({ description: 'The first parts of `order_by`, where not all of it is the primary key.' }),
  partition_by: z
    .array(words('A column or an expression.'))
    .default([])
    .meta({ description: 'Rows with other values are kept in parts of their own.' }),
  sample_by: words('For SAMPLE; must be a part of the primary key.').optional(),
  ttl: words('When rows are removed.').optional(),
  settings: settingsDocument.default({}).meta({
    description:
      'Settings of the table. `fsync_after_insert` and `fsync_part_directory` are 1 unless given here: what is settled must survive a power cut.',
  }),
  dedup_window: z.int().min(0).max(1_000_000).default(1000).meta({
    description:
      'How many last inserts are remembered by their token, so that none is written twice; 0 is off.',
  }),
  distributed: z
    .strictObject({
      name: tableName.meta({ description: 'Name of the table over all shards.' }),
      sharding_key: words('Expression that chooses the shard.'),
    })
    .optional()
    .meta({ description: 'For a cluster: the table over all shards.' }),
})

export type TableDocument = z.output<typeof tableDocument>
export type ColumnDocument = TableDocument['columns'][number]
