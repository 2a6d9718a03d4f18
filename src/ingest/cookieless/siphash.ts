/**
 * SipHash-2-4 with 128 bits of output, by Aumasson and Bernstein's paper and reference vectors. A keyed hash:
 * without the key its output says nothing about its input.
 *
 * A 64-bit lane is a pair of 32-bit integers, low half first, because JavaScript's 64-bit integers are
 * allocated one by one and much slower.
 */
type Lanes = Int32Array

/** The 16 bytes of the hash in the reference's order. `key` has 16 bytes. */
export function siphash128(key: Buffer, data: Buffer): Buffer {
  const lanes = createLanes(key)
  const whole = data.length - (data.length % 8)
  for (let at = 0; at < whole; at += 8) absorb(lanes, data.readInt32LE(at), data.readInt32LE(at + 4))
  const tail = Buffer.alloc(8)
  data.copy(tail, 0, whole)
  tail[7] = data.length & 0xff
  absorb(lanes, tail.readInt32LE(0), tail.readInt32LE(4))
  const out = Buffer.alloc(16)
  lanes[4] = at(lanes, 4) ^ 0xee
  squeeze(lanes, out, 0)
  lanes[2] = at(lanes, 2) ^ 0xdd
  squeeze(lanes, out, 8)
  return out
}

function createLanes(key: Buffer): Lanes {
  const [k0, k1, k2, k3] = [key.readInt32LE(0), key.readInt32LE(4), key.readInt32LE(8), key.readInt32LE(12)]
  return Int32Array.of(
    k0 ^ 0x70736575,
    k1 ^ 0x736f6d65,
    k2 ^ 0x6e646f6d ^ 0xee,
    k3 ^ 0x646f7261,
    k0 ^ 0x6e657261,
    k1 ^ 0x6c796765,
    k2 ^ 0x79746573,
    k3 ^ 0x74656462,
  )
}

function absorb(lanes: Lanes, low: number, high: number): void {
  lanes[6] = at(lanes, 6) ^ low
  lanes[7] = at(lanes, 7) ^ high
  round(lanes)
  round(lanes)
  lanes[0] = at(lanes, 0) ^ low
  lanes[1] = at(lanes, 1) ^ high
}

function squeeze(lanes: Lanes, out: Buffer, offset: number): void {
  for (let count = 0; count < 4; count++) round(lanes)
  out.writeInt32LE(at(lanes, 0) ^ at(lanes, 2) ^ at(lanes, 4) ^ at(lanes, 6), offset)
  out.writeInt32LE(at(lanes, 1) ^ at(lanes, 3) ^ at(lanes, 5) ^ at(lanes, 7), offset + 4)
}

/** Lane numbers below are those of the low halves: 0, 2, 4, 6 for v0 … v3. */
function round(lanes: Lanes): void {
  add(lanes, 0, 2)
  rotate(lanes, 2, 13)
  mix(lanes, 2, 0)
  swap(lanes, 0)
  add(lanes, 4, 6)
  rotate(lanes, 6, 16)
  mix(lanes, 6, 4)
  add(lanes, 0, 6)
  rotate(lanes, 6, 21)
  mix(lanes, 6, 0)
  add(lanes, 4, 2)
  rotate(lanes, 2, 17)
  mix(lanes, 2, 4)
  swap(lanes, 4)
}

function add(lanes: Lanes, to: number, from: number): void {
  const low = (at(lanes, to) >>> 0) + (at(lanes, from) >>> 0)
  const carry = low > 0xffffffff ? 1 : 0
  lanes[to] = low | 0
  lanes[to + 1] = (at(lanes, to + 1) + at(lanes, from + 1) + carry) | 0
}

/** Rotates left by 1 to 31 bits. */
function rotate(lanes: Lanes, lane: number, bits: number): void {
  const low = at(lanes, lane)
  const high = at(lanes, lane + 1)
  lanes[lane] = (low << bits) | (high >>> (32 - bits))
  lanes[lane + 1] = (high << bits) | (low >>> (32 - bits))
}

function mix(lanes: Lanes, to: number, from: number): void {
  lanes[to] = at(lanes, to) ^ at(lanes, from)
  lanes[to + 1] = at(lanes, to + 1) ^ at(lanes, from + 1)
}

/** Rotates by 32 bits. */
function swap(lanes: Lanes, lane: number): void {
  const low = at(lanes, lane)
  lanes[lane] = at(lanes, lane + 1)
  lanes[lane + 1] = low
}

function at(lanes: Lanes, index: number): number {
  return lanes[index] ?? 0
}
