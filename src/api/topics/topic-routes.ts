/** Feeds a topic without a Kafka client. Rowmill's own topics are not fed: their sums are what the audit proves. */
import { z } from 'zod'
import { topics } from '../../event/topics.ts'
import type { Log, NewRecord } from '../../ports/log.ts'
import { requireUnscoped } from '../auth/scope.ts'
import { invalidInput, Problem } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is base64')

export const topicRecordSchema = z
  .strictObject({
    key: z.string().nullish(),
    key_base64: base64.optional(),
    value: z.unknown().optional(),
    text: z.string().optional(),
    value_base64: base64.optional(),
    headers: z.record(z.string(), z.string().nullable()).optional(),
    partition: z.int().min(0).optional(),
    timestamp_ms: z.int().min(0).optional(),
  })
  .refine(
    ({ value, text, value_base64 }) =>
      [value, text, value_base64].filter((one) => one !== undefined).length === 1,
    'has exactly one of value (JSON), text and value_base64',
  )
  .refine(({ key, key_base64 }) => key == null || key_base64 === undefined, 'has one key')

const bodySchema = z.strictObject({ records: z.array(topicRecordSchema).min(1).max(10_000) })

const positionSchema = z.strictObject({ partition: z.number().int(), offset: z.number().int() })

/** A record as it is asked for. A `value` is written as JSON; for its exact bytes give it as text or base64. */
export function newRecord(topic: string, asked: z.output<typeof topicRecordSchema>): NewRecord {
  const { key, key_base64, value, text, value_base64, headers, partition, timestamp_ms } = asked
  const bytes =
    value_base64 === undefined
      ? Buffer.from(text ?? JSON.stringify(value))
      : Buffer.from(value_base64, 'base64')
  return {
    topic,
    key: key_base64 === undefined ? (key ?? null) : Buffer.from(key_base64, 'base64'),
    value: bytes,
    ...(headers === undefined ? {} : { headers }),
    ...(partition === undefined ? {} : { partition }),
    ...(timestamp_ms === undefined ? {} : { timestampMs: timestamp_ms }),
  }
}

export function isOwnTopic(name: string): boolean {
  return Object.values<string>(topics).includes(name)
}

export function createTopicRoutes({ log }: { log: Pick<Log, 'append' | 'describe'> }): ApiRoute[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/topics/:topic/records',
      summary: 'Append records to a topic that a storage reads; answered when they are durable',
      tag: 'topics',
      body: bodySchema,
      answers: { 201: z.strictObject({ positions: z.array(positionSchema) }) },
      async run({ key, path, body }) {
        requireUnscoped(key, 'write to a topic')
        const { topic = '' } = path
        if (isOwnTopic(topic))
          throw invalidInput(`${topic} is one of Rowmill's own topics, which only Rowmill writes.`, 'topic')
        const known = (await log.describe()).find(({ name }) => name === topic)
        if (known === undefined)
          throw new Problem(404, {
            type: 'invalid_request',
            code: 'not_found',
            detail: `There is no topic ${topic}. It is created when a storage that reads it is in consumer.storages.`,
          })
        for (const [index, { partition }] of body.records.entries())
          if (partition !== undefined && partition >= known.partitions)
            throw invalidInput(`The topic ${topic} has ${known.partitions} partitions.`, `records.${index}`)
        const positions = await log.append(body.records.map((record) => newRecord(topic, record)))
        return {
          status: 201,
          body: { positions: positions.map(({ partition, offset }) => ({ partition, offset })) },
        }
      },
    }),
  ]
}
