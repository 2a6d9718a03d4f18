/** What is made of the form of a storage's YAML: its JSON Schema for editors, and its reference page. */
import { z } from 'zod'
import { storageDocument } from '../src/datasets/storage/document.ts'

type Schema = z.core.JSONSchema.JSONSchema

export function storagePages(): Record<string, string> {
  const schema = z.toJSONSchema(storageDocument, { io: 'input', target: 'draft-2020-12' })
  return {
    'storages/storage.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'docs/reference/storages.md': page(schema),
  }
}

const example = `\`\`\`yaml
# yaml-language-server: $schema=../storages/storage.schema.json
version: v1
kind: storage
name: visits
set: mine
description: Who came by, one row for each visit.
stream:
  topic: visits
  dlq_topic: visits-dead-letters
processor:
  module: ./visits.ts
tables:
  - name: visits_local
    columns:
      - { name: visitor, type: UInt64 }
      - { name: at, type: "DateTime64(3, 'UTC')", codec: 'DoubleDelta, LZ4' }
      - { name: page, type: LowCardinality(String), default: "'/'" }
    indices:
      - { name: pages, expression: page, type: bloom_filter(0.01) }
    engine: { kind: MergeTree }
    order_by: [visitor, at]
    partition_by: [toYYYYMM(at)]
    ttl: toDateTime(at) + toIntervalDay(90)
writer:
  batch: { rows_max: 10000, wait_ms: 500 }
dead_letters: { consecutive_max: 100 }
\`\`\``

function page(schema: Schema): string {
  return `<!-- Made by "npm run docs" from the program itself. Do not edit. -->
# Storages

A storage is a topic, a processor that makes rows of its messages, and the tables that the rows go to. It is one
YAML file. \`storages/\` holds the reference set, \`storages/rowmill/\` the datasets of Rowmill itself. Your own
files can stand anywhere: name them on the command line.

- \`rowmill storage check [file …]\` says all that is wrong, each with file, line and column. It needs no engine.
- \`rowmill storage list\` lists the storages.
- \`rowmill storage ddl NAME\` prints the statements that create the tables; \`--cluster C\` those for a cluster.
- \`rowmill storage diff NAME\` compares the live tables with the storage and prints the statements that make them
  the same. \`--apply\` runs them. Columns that the storage does not have are dropped only with \`--drop\`.

\`NAME\` is the name of a storage, or the path of its file.

## An example

${example}

## Every setting

Unknown settings are refused, and so are settings that do nothing: a limit of dead letters without a topic for
them, a replacement topic without a replacer, an insert setting that the writer sets itself.

Types, expressions, codecs and settings are in ClickHouse's own words. The check sees to it that each is one
whole expression and names columns that exist; \`diff\` asks ClickHouse itself.

${sectionsOf(schema, 'The file').map(sectionText).join('\n')}
## On a cluster

With \`--cluster C\` every statement has \`ON CLUSTER C\`. The table is \`Replicated…\`, at the path
\`/clickhouse/tables/<set>/{shard}/<database>/<table>\` with the replica \`{replica}\`. Where \`distributed\` is
given, a second table stands over all shards.

## What diff can and cannot change

Columns, their types, defaults, codecs and TTLs, indices, the TTL and the settings of the table can be altered.
Engine, partition, sorting key and primary key are fixed when a table is made, and so are the types of columns in
them: \`diff\` says so, and a new table must be filled from the old one.

A new index covers the parts that are written or merged from then on. \`ALTER TABLE … MATERIALIZE INDEX\` covers
the others.
`
}

type Section = { title: string; rows: string[] }

/** A section for the settings of a mapping, and more for the mappings inside. */
function sectionsOf(schema: Schema, title: string): Section[] {
  const entries = propertiesOf(schema)
  const rows = entries.map(({ name, value, isRequired }) => {
    const cells = [
      code(name),
      cell(kindOf(value)),
      defaultOf(value, isRequired),
      cell(value.description ?? ''),
    ]
    return `| ${cells.join(' | ')} |`
  })
  const inside = entries.flatMap(({ name, value }) => {
    const items = itemsOf(value)
    const place = title === 'The file' ? '' : ` of ${title.toLowerCase()}`
    return items === undefined
      ? sectionsOf(value, `${code(name)}${place}`)
      : sectionsOf(items, `Each of ${code(name)}${place}`)
  })
  return rows.length === 0 ? inside : [{ title, rows }, ...inside]
}

function sectionText({ title, rows }: Section): string {
  return `### ${title}\n\n| Setting | Value | Default | What it does |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

type Property = { name: string; value: Schema; isRequired: boolean }

/** Of several forms that are told apart by their `kind`: the kind once, then what else each of them has. */
function propertiesOf(schema: Schema): Property[] {
  const forms = [schema, ...(schema.oneOf ?? []).filter((form) => typeof form !== 'boolean')]
  const all = forms.flatMap((form) =>
    Object.entries(form.properties ?? {}).flatMap(([name, value]): Property[] =>
      typeof value === 'boolean' ? [] : [{ name, value, isRequired: form.required?.includes(name) === true }],
    ),
  )
  if (schema.oneOf === undefined) return all
  const kinds = all
    .filter(({ name }) => name === 'kind')
    .flatMap(({ value }) => value.enum ?? [value.const ?? null])
  const kind = { name: 'kind', value: { enum: kinds, description: 'Which one.' }, isRequired: true }
  return [kind, ...all.filter(({ name }) => name !== 'kind')]
}

function itemsOf({ items }: Schema): Schema | undefined {
  return typeof items === 'object' && !Array.isArray(items) ? items : undefined
}

function kindOf(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  if (schema.oneOf !== undefined) return 'one of several forms'
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? 'anything']
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    object: 'mapping',
    array: 'list',
    boolean: 'true or false',
  }
  const words = (schema.anyOf ?? []).flatMap((form) => (typeof form === 'boolean' ? [] : [kindOf(form)]))
  return [...(schema.anyOf === undefined ? types.map((type) => names[type] ?? type) : words)].join(' or ')
}

function defaultOf(schema: Schema, isRequired: boolean): string {
  if (isRequired) return 'required'
  const value = schema.default
  const isEmpty = value === undefined || JSON.stringify(value) === '{}' || JSON.stringify(value) === '[]'
  return isEmpty ? 'none' : code(value)
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
