/** The one request that writes: batches that are packed already, for partitions that one broker leads. */
import { type Connection, createAPI, produceV9, Writer } from '@platformatic/kafka'
import { ask, KafkaFailure } from '../wire/answers.ts'

export type Packed = { topic: string; partition: number; batch: Buffer }
export type Acknowledgement = { code: number; baseOffset: number }

const acksAll = -1

const produce = createAPI<
  [transactionalId: string | null, timeoutMs: number, batches: readonly Packed[]],
  boolean | produceV9.ProduceResponse
>(0, 9, createRequest, produceV9.parseResponse)

/** The answer for each batch, in their order. Fails with `DISCONNECTED`. */
export async function sendBatches(
  connection: Connection,
  batches: readonly Packed[],
  options: { transactionalId: string | null; timeoutMs: number },
): Promise<Acknowledgement[]> {
  const answer = await ask(connection, produce, options.transactionalId, options.timeoutMs, batches)
  const found = new Map<string, Acknowledgement>()
  if (typeof answer !== 'boolean')
    for (const { name, partitionResponses } of answer.responses)
      for (const { index, errorCode, baseOffset } of partitionResponses)
        found.set(`${name}/${index}`, { code: errorCode, baseOffset: Number(baseOffset) })
  return batches.map(({ topic, partition }) => {
    const acknowledged = found.get(`${topic}/${partition}`)
    if (acknowledged === undefined) throw new KafkaFailure('DISCONNECTED', 'An answer leaves out a batch.')
    return acknowledged
  })
}

function createRequest(
  transactionalId: string | null,
  timeoutMs: number,
  batches: readonly Packed[],
): Writer {
  const topics = [...Map.groupBy(batches, ({ topic }) => topic)]
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(acksAll)
    .appendInt32(timeoutMs)
    .appendArray(topics, (writer, [topic, partitions]) => {
      writer.appendString(topic).appendArray(partitions, (inner, { partition, batch }) => {
        inner
          .appendInt32(partition)
          .appendUnsignedVarInt(batch.length + 1)
          .append(batch)
      })
    })
    .appendTaggedFields()
}
