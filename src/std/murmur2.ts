/**
 * The 32-bit murmur2 hash with the seed of Kafka's Java client, and the choice of a partition that its
 * default partitioner and librdkafka's `murmur2_random` make from it. Source: MurmurHash2 by Austin
 * Appleby (public domain) and the published behaviour of Kafka's clients.
 */
const seed = 0x9747b28c
const factor = 0x5bd1e995

/** The hash of `bytes` as a signed 32-bit number, as Java shows it. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const blocksEnd = length & ~3
  let hash = seed ^ length
  for (let at = 0; at < blocksEnd; at += 4) {
    let block =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    block = Math.imul(block, factor)
    block = Math.imul(block ^ (block >>> 24), factor)
    hash = Math.imul(hash, factor) ^ block
  }
  const rest = length & 3
  if (rest === 3) hash ^= (bytes[blocksEnd + 2] ?? 0) << 16
  if (rest >= 2) hash ^= (bytes[blocksEnd + 1] ?? 0) << 8
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[blocksEnd] ?? 0), factor)
  hash = Math.imul(hash ^ (hash >>> 13), factor)
  return (hash ^ (hash >>> 15)) | 0
}

/** The partition of a key among `partitions`. */
export function murmur2Partition(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
