import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2, murmur2Partition } from './murmur2.ts'

// The vectors of Kafka's own Java tests (UtilsTest.testMurmur2): facts, not code.
const vectors: readonly [string, number][] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test('murmur2 answers as the Java client does', () => {
  for (const [text, hash] of vectors) assert.equal(murmur2(Buffer.from(text)), hash, text)
})

test('a partition is the positive hash modulo the number of partitions', () => {
  assert.equal(murmur2Partition(Buffer.from('foobar'), 10), (-790332482 & 0x7fffffff) % 10)
  for (let length = 0; length < 40; length++) {
    const partition = murmur2Partition(Buffer.alloc(length, length), 6)
    assert.ok(partition >= 0 && partition < 6)
  }
})
