import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader, readRecordsBatches } from '@platformatic/kafka'
import { packBatch, packHeaders, stampBatch } from '../produce/record-batch.ts'
import { decodePartition } from './decode.ts'

type BatchGiven = { at: number; producer: bigint; texts: readonly string[]; isTransactional?: boolean }

function batchOf({ at, producer, texts, isTransactional = true }: BatchGiven) {
  const headers = packHeaders({})
  const packed = packBatch(
    texts.map((text) => ({ key: null, value: Buffer.from(text), headers, timestampMs: 1 })),
    'none',
  )
  stampBatch(packed, { producerId: producer, epoch: 0, sequence: 0, isTransactional })
  packed.writeBigInt64BE(BigInt(at), 0)
  return readRecordsBatches(Reader.from(packed))
}

function markerOf({ at, producer, isCommit }: { at: number; producer: bigint; isCommit: boolean }) {
  const key = Buffer.from([0, 0, 0, isCommit ? 1 : 0])
  return batchOf({ at, producer, texts: [''] }).map((batch) => ({
    ...batch,
    attributes: batch.attributes | (1 << 5),
    records: batch.records.map((record) => ({ ...record, key })),
  }))
}

function decode(
  records: ReturnType<typeof batchOf>,
  from: number,
  aborted: readonly { producerId: bigint; firstOffset: bigint }[] = [],
) {
  const answer = {
    ...{ partitionIndex: 0, errorCode: 0, highWatermark: 0n, lastStableOffset: 0n, logStartOffset: 0n },
    ...{ abortedTransactions: [...aborted], preferredReadReplica: -1, records },
  }
  const { records: found, nextOffset } = decodePartition(answer, { topic: 't', from })
  return { found: found.map(({ offset, value }) => [offset, value.toString()]), nextOffset }
}

test('what a transaction wrote that was given up is left out, and the next one of its producer is not', () => {
  const records = [
    ...batchOf({ at: 0, producer: 1n, texts: ['a', 'b'] }),
    ...batchOf({ at: 2, producer: 2n, texts: ['c'] }),
    ...markerOf({ at: 3, producer: 1n, isCommit: false }),
    ...markerOf({ at: 4, producer: 2n, isCommit: true }),
    ...batchOf({ at: 5, producer: 1n, texts: ['d'] }),
    ...markerOf({ at: 6, producer: 1n, isCommit: true }),
    ...batchOf({ at: 7, producer: 1n, texts: ['e'], isTransactional: false }),
  ]
  assert.deepEqual(decode(records, 0, [{ producerId: 1n, firstOffset: 0n }]), {
    found: [
      [2, 'c'],
      [5, 'd'],
      [7, 'e'],
    ],
    nextOffset: 8,
  })
})

test('a batch that begins earlier gives only what was asked for', () => {
  const records = batchOf({ at: 10, producer: 1n, texts: ['a', 'b', 'c'] })
  assert.deepEqual(decode(records, 11), {
    found: [
      [11, 'b'],
      [12, 'c'],
    ],
    nextOffset: 13,
  })
})

test('nothing but markers moves on without records', () => {
  assert.deepEqual(decode(markerOf({ at: 4, producer: 1n, isCommit: true }), 4), { found: [], nextOffset: 5 })
  assert.deepEqual(decode([], 4), { found: [], nextOffset: 4 })
})
