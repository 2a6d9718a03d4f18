import assert from 'node:assert/strict'
import { test } from 'node:test'
import { siphash128 } from './siphash.ts'

const key = Buffer.from([...Array(16).keys()])

/** The reference's vectors: the key 00 … 0f, the input 00, 01, … of the given length. */
const published: Readonly<Record<number, string>> = {
  0: 'a3817f04ba25a8e66df67214c7550293',
  1: 'da87c1d86b99af44347659119b22fc45',
  2: '8177228da4a45dc7fca38bdef60affe4',
  3: '9c70b60c5267a94e5f33b6b02985ed51',
}

test('the hash is that of the reference', () => {
  for (const [length, expected] of Object.entries(published)) {
    const input = Buffer.from([...Array(Number(length)).keys()])
    assert.equal(siphash128(key, input).toString('hex'), expected)
  }
})

test('every length gives another hash, and so does every key', () => {
  const seen = new Set<string>()
  for (let length = 0; length < 64; length++) seen.add(siphash128(key, Buffer.alloc(length)).toString('hex'))
  for (let bit = 0; bit < 128; bit++) {
    const other = Buffer.from(key)
    other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    seen.add(siphash128(other, Buffer.from('the same')).toString('hex'))
  }
  assert.equal(seen.size, 64 + 128)
})
