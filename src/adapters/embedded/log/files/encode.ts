/** Builds the frame of one write: records gathered by partition into chunks, and what else the frame says. */
import { crc32 } from 'node:zlib'
import type { Partition } from '../state.ts'
import { type ChunkEntry, frameKind, frameSize, payloadStart, sealFrame } from './frame.ts'
import { type EncodableRecord, writeRecord } from './record.ts'

export type PendingRecord = EncodableRecord & {
  partition: Partition
  bytes: number
  /** Set when the record's frame is built; holds once the frame is durable. */
  offset: number
}

export type ChunkPlan = { partition: Partition; records: PendingRecord[]; base: number; bytes: number }

/** Gives the records their offsets, in order, and cuts them into chunks. Moves no partition's end. */
export function planChunks(records: Iterable<PendingRecord>, chunkBytesMax: number): ChunkPlan[] {
  const plans: ChunkPlan[] = []
  const open = new Map<Partition, ChunkPlan>()
  for (const record of records) {
    const { partition } = record
    let plan = open.get(partition)
    if (plan === undefined || plan.bytes + record.bytes > chunkBytesMax) {
      const base = plan === undefined ? partition.end : plan.base + plan.records.length
      plan = { partition, records: [], base, bytes: 0 }
      open.set(partition, plan)
      plans.push(plan)
    }
    record.offset = plan.base + plan.records.length
    plan.records.push(record)
    plan.bytes += record.bytes
  }
  return plans
}

export type EncodedFrame = {
  frame: Buffer
  entries: ChunkEntry[]
  /** Where the first payload begins in the frame. */
  payloadAt: number
}

export function plannedSize(plans: readonly ChunkPlan[], metaBytes: number): number {
  const payloadBytes = plans.reduce((total, plan) => total + plan.bytes, 0)
  return frameSize({ chunks: plans.length, metaBytes, payloadBytes })
}

export function encodeFrame(
  plans: readonly ChunkPlan[],
  options: { meta: string; appendedMs: number; salt: number },
): EncodedFrame {
  const metaBytes = Buffer.byteLength(options.meta)
  const frame = Buffer.allocUnsafeSlow(plannedSize(plans, metaBytes))
  const payloadAt = payloadStart(plans.length, metaBytes)
  const entries: ChunkEntry[] = []
  let at = payloadAt
  for (const plan of plans) {
    const start = at
    let maxTimestampMs = Number.NEGATIVE_INFINITY
    for (const record of plan.records) {
      at = writeRecord(frame, at, record)
      if (record.timestampMs > maxTimestampMs) maxTimestampMs = record.timestampMs
    }
    entries.push({
      topicId: plan.partition.topic.id,
      partition: plan.partition.index,
      base: plan.base,
      count: plan.records.length,
      length: at - start,
      checksum: crc32(frame.subarray(start, at)),
      maxTimestampMs,
    })
  }
  sealFrame(
    frame,
    { kind: frameKind.data, appendedMs: options.appendedMs, entries, meta: options.meta },
    options.salt,
  )
  return { frame, entries, payloadAt }
}
