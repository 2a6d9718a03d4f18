import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { isOwnTopic, newRecord, topicRecordSchema } from '../../../api/topics/topic-routes.ts'
import { openTopicWriter } from '../../../platform/topic-writer.ts'
import type { NewRecord } from '../../../ports/log.ts'
import { type Command, UsageError } from '../../command.ts'
import { json, progress } from '../../output.ts'

/** Of one append; small enough for the API's body when base64 has made it larger. */
const appendRecordsMax = 2000
const appendBytesMax = 512 * 1024

export const produceCommand: Command = {
  name: 'produce',
  summary: 'Append the lines of a file to a topic, for a consumer to read.',
  usage: 'produce <topic> [file] [--format lines|json] [--partitions <n>]',
  wordsMax: 2,
  options: {
    format: {
      kind: 'text',
      placeholder: 'lines|json',
      description:
        'lines (default): each line is a message. json: each line is an object with value, text or value_base64, and key, headers, partition, timestamp_ms.',
    },
    partitions: {
      kind: 'text',
      placeholder: 'n',
      description: 'Partitions of the topic if it is created now (default 1).',
    },
  },
  async run({ config, options, positionals, terminal, isJson, signal }) {
    const [topic, file = '-'] = positionals
    if (topic === undefined) throw new UsageError('Which topic?')
    if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic))
      throw new UsageError('A topic has 1 to 249 letters, digits, dots, _ and -.')
    if (isOwnTopic(topic))
      throw new UsageError(`${topic} is one of Rowmill's own topics, which only Rowmill writes.`)
    const { format = 'lines' } = options
    if (format !== 'lines' && format !== 'json') throw new UsageError('--format takes lines or json.')
    const partitions = Number(options.partitions ?? 1)
    if (!Number.isInteger(partitions) || partitions < 1 || partitions > 256)
      throw new UsageError('--partitions takes a number from 1 to 256.')
    const read = format === 'lines' ? lineRecord(topic) : jsonRecord(topic)
    await using writer = await openTopicWriter(config().config, { name: topic, partitions })
    const bar = progress(terminal, topic)
    let count = 0
    for await (const records of gather(linesOf(file, signal), read)) {
      await writer.append(records)
      count += records.length
      bar.at(1, `${count} records`)
      if (signal.aborted) break
    }
    bar.end()
    terminal.out(isJson ? json({ topic, records: count }) : `${count} records appended to ${topic}.\n`)
    return signal.aborted ? 1 : 0
  },
}

async function* linesOf(file: string, signal: AbortSignal): AsyncGenerator<string> {
  const input = file === '-' ? process.stdin : createReadStream(file)
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined)
  input.once('error', failed.reject)
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal })
  const iterator = lines[Symbol.asyncIterator]()
  for (;;) {
    const next = await Promise.race([iterator.next(), failed.promise])
    if (next.done === true) return
    if (next.value !== '') yield next.value
  }
}

async function* gather(
  lines: AsyncIterable<string>,
  read: (line: string, number: number) => NewRecord,
): AsyncGenerator<NewRecord[]> {
  let records: NewRecord[] = []
  let bytes = 0
  let number = 0
  for await (const line of lines) {
    const record = read(line, ++number)
    if (records.length >= appendRecordsMax || (records.length > 0 && bytes + line.length > appendBytesMax)) {
      yield records
      records = []
      bytes = 0
    }
    records.push(record)
    bytes += line.length
  }
  if (records.length > 0) yield records
}

function lineRecord(topic: string) {
  return (line: string): NewRecord => ({ topic, key: null, value: Buffer.from(line) })
}

function jsonRecord(topic: string) {
  return (line: string, number: number): NewRecord => {
    const parsed = topicRecordSchema.safeParse(parseLine(line, number))
    if (parsed.success) return newRecord(topic, parsed.data)
    throw new UsageError(`Line ${number}: ${z.prettifyError(parsed.error)}`)
  }
}

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new UsageError(`Line ${number} is not JSON.`, { cause })
  }
}
