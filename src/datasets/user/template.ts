/**
 * The files of a new storage with a processor of one's own. They work as they are: the test passes, the storage
 * is right, and the payload becomes a row.
 */

/** Path in the folder to text. `name` is the storage's name, `program` is the folder of this program. */
export function templateFiles(name: string): Record<string, string> {
  return {
    [`${name}.yaml`]: storageYaml(name),
    'message.schema.json': messageSchema(name),
    'processor.ts': processorText,
    'processor.test.ts': testText,
    'payloads/visit.json':
      '{"id":18446744073709551615,"at":"2023-11-14T22:13:20Z","page":"/","seconds":12}\n',
    'package.json': packageJson(name),
    'README.md': readme(name),
  }
}

const tableOf = (name: string): string => `${name.replaceAll('-', '_')}_local`

const storageYaml = (name: string): string => `version: v1
kind: storage
name: ${name}
set: ${name}
description: Visits of pages.
stream:
  topic: ${name}
  schema: message.schema.json
processor:
  module: processor.ts
  options: { seconds_max: 3600 }
tables:
  - name: ${tableOf(name)}
    columns:
      - { name: id, type: UInt64 }
      - { name: time, type: DateTime }
      - { name: page, type: LowCardinality(String) }
      - { name: seconds, type: Float64 }
    engine: { kind: MergeTree }
    order_by: [page, time]
    partition_by: [toMonday(time)]
`

const messageSchema = (name: string): string => `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "A message of ${name}",
  "type": "object",
  "required": ["id", "at", "page"],
  "properties": {
    "id": { "type": "integer", "minimum": 0, "maximum": 18446744073709551615 },
    "at": { "type": "string", "format": "date-time" },
    "page": { "type": "string" },
    "seconds": { "type": ["number", "null"], "minimum": 0 }
  }
}
`

const processorText = `import {
  type CreateProcessor,
  InvalidMessage,
  JsonFloat,
  type LosslessObject,
  type LosslessValue,
  parseLossless,
} from 'rowmill/processor'

/** Called once for each thread. What it returns is called for every message and keeps nothing between two. */
export const createProcessor: CreateProcessor = ({ options }) => {
  const secondsMax = Number(options.seconds_max ?? 3600)
  return {
    process(message, output) {
      const visit = readVisit(message.value)
      if (visit.seconds > secondsMax) return output.skip('longer than a visit')
      output.times({ originMs: visit.timeMs })
      output.row({
        id: visit.id,
        time: Math.floor(visit.timeMs / 1000),
        page: visit.page,
        seconds: new JsonFloat(visit.seconds),
      })
    },
  }
}

/** What is wrong with a message is said by an InvalidMessage: it becomes a dead letter with this sentence. */
function readVisit(value: Buffer) {
  const { id, at, page, seconds } = readObject(value)
  if (!isUint64(id)) throw new InvalidMessage('id is no unsigned integer', { path: 'id' })
  if (typeof page !== 'string') throw new InvalidMessage('page is no text', { path: 'page' })
  const timeMs = typeof at === 'string' ? Date.parse(at) : Number.NaN
  if (!(timeMs >= 0)) throw new InvalidMessage('at is no time', { path: 'at' })
  return { id, page, timeMs, seconds: readSeconds(seconds) }
}

function readObject(value: Buffer): LosslessObject {
  let parsed: LosslessValue
  try {
    parsed = parseLossless(value)
  } catch (cause) {
    throw new InvalidMessage('the message is no JSON', { cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || parsed instanceof JsonFloat)
    throw new InvalidMessage('the message is no object')
  return parsed
}

/** Integers beyond 2^53 are bigints. */
function isUint64(value: LosslessValue | undefined): value is number | bigint {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0
  return typeof value === 'bigint' && value >= 0n && value < 2n ** 64n
}

function readSeconds(value: LosslessValue | undefined): number {
  if (value === undefined || value === null) return 0
  const seconds = value instanceof JsonFloat ? value.value : Number(value)
  if (typeof value === 'string' || !(seconds >= 0)) throw new InvalidMessage('seconds is no number', { path: 'seconds' })
  return seconds
}
`

const testText = `import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runMessage } from 'rowmill/processor'
import { createProcessor } from './processor.ts'

const run = (value: Buffer | string) => runMessage(createProcessor, { value })

test('a visit becomes a row', () => {
  const end = run(readFileSync(new URL('payloads/visit.json', import.meta.url)))
  assert.equal(end.kind, 'rows')
  assert.equal(
    end.rows[0]?.bytes.toString(),
    '{"id":18446744073709551615,"time":1700000000,"page":"/","seconds":12.0}\\n',
  )
})

test('a long visit is skipped, a wrong one is invalid', () => {
  assert.equal(run('{"id":1,"at":"2023-11-14T22:13:20Z","page":"/","seconds":9999}').kind, 'skip')
  const end = run('{"id":-1}')
  assert.equal(end.kind === 'invalid' && end.path, 'id')
})
`

const packageJson = (name: string): string => `{
  "name": "${name}",
  "private": true,
  "type": "module",
  "scripts": { "test": "node --test" }
}
`

const readme = (name: string): string => `# ${name}

Messages of the topic \`${name}\` become rows of the table \`${tableOf(name)}\`.

- \`${name}.yaml\`: the storage. Check it with \`rowmill storage check ${name}.yaml\`.
- \`processor.ts\`: makes rows of messages. Test it with \`rowmill processor test\`.
- \`payloads/\`: messages to test with. \`message.schema.json\` says what a message may be.
- \`node_modules/rowmill\` is a link to the program, for the types and the test.

Run it with \`rowmill consumer --storage ${name} --storage-file ${name}.yaml\`.
`
