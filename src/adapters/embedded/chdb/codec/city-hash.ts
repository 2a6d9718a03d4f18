/**
 * CityHash128 as of version 1.0.2, which ClickHouse keeps for the checksums of its compressed blocks; later
 * versions of CityHash give other values. Written from the published algorithm.
 */

const k0 = 0xc3a5c85c97cb3127n
const k1 = 0xb492b66fbe98f273n
const k2 = 0x9ae16a3b2f90404fn
const k3 = 0xc949d7c7509e6557n
const mixer = 0x9ddfea08eb382d69n

type Pair = [bigint, bigint]

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const rotate = (value: bigint, by: bigint): bigint => u64((value >> by) | (value << (64n - by)))
const shiftMix = (value: bigint): bigint => value ^ (value >> 47n)

function hash16(low: bigint, high: bigint): bigint {
  const first = shiftMix(u64((low ^ high) * mixer))
  const second = shiftMix(u64((high ^ first) * mixer))
  return u64(second * mixer)
}

function hashShort(bytes: Buffer): bigint {
  const { length } = bytes
  const size = BigInt(length)
  if (length > 8) {
    const last = bytes.readBigUInt64LE(length - 8)
    return hash16(bytes.readBigUInt64LE(0), rotate(u64(last + size), size)) ^ last
  }
  if (length >= 4) {
    const first = BigInt(bytes.readUInt32LE(0))
    return hash16(size + (first << 3n), BigInt(bytes.readUInt32LE(length - 4)))
  }
  if (length === 0) return k2
  const y = BigInt(bytes.readUInt8(0)) + (BigInt(bytes.readUInt8(length >> 1)) << 8n)
  const z = size + (BigInt(bytes.readUInt8(length - 1)) << 2n)
  return u64(shiftMix(u64(y * k2) ^ u64(z * k3)) * k2)
}

function weakHash32(bytes: Buffer, at: number, seed: Pair): Pair {
  const z = bytes.readBigUInt64LE(at + 24)
  const first = u64(seed[0] + bytes.readBigUInt64LE(at))
  const turned = rotate(u64(seed[1] + first + z), 21n)
  const sum = u64(first + bytes.readBigUInt64LE(at + 8) + bytes.readBigUInt64LE(at + 16))
  return [u64(sum + z), u64(turned + rotate(sum, 44n) + first)]
}

function murmur(bytes: Buffer, seed: Pair): Pair {
  const { length } = bytes
  let [a, b] = seed
  let c: bigint
  let d: bigint
  if (length <= 16) {
    a = u64(shiftMix(u64(a * k1)) * k1)
    c = u64(b * k1 + hashShort(bytes))
    d = shiftMix(u64(a + (length >= 8 ? bytes.readBigUInt64LE(0) : c)))
  } else {
    c = hash16(u64(bytes.readBigUInt64LE(length - 8) + k1), a)
    d = hash16(u64(b + BigInt(length)), u64(c + bytes.readBigUInt64LE(length - 16)))
    a = u64(a + d)
    for (let at = 0; at < length - 16; at += 16) {
      a = u64((a ^ u64(shiftMix(u64(bytes.readBigUInt64LE(at) * k1)) * k1)) * k1)
      b ^= a
      c = u64((c ^ u64(shiftMix(u64(bytes.readBigUInt64LE(at + 8) * k1)) * k1)) * k1)
      d ^= c
    }
  }
  a = hash16(a, c)
  b = hash16(d, b)
  return [a ^ b, hash16(b, a)]
}

function hashSeeded(bytes: Buffer, seed: Pair): Pair {
  if (bytes.length < 128) return murmur(bytes, seed)
  let [x, y] = seed
  let z = u64(BigInt(bytes.length) * k1)
  let v: Pair = [0n, 0n]
  v[0] = u64(rotate(y ^ k1, 49n) * k1 + bytes.readBigUInt64LE(0))
  v[1] = u64(rotate(v[0], 42n) * k1 + bytes.readBigUInt64LE(8))
  let w: Pair = [
    u64(rotate(u64(y + z), 35n) * k1 + x),
    u64(rotate(u64(x + bytes.readBigUInt64LE(88)), 53n) * k1),
  ]
  let at = 0
  while (bytes.length - at >= 128) {
    for (let round = 0; round < 2; round++, at += 64) {
      x = u64(rotate(u64(x + y + v[0] + bytes.readBigUInt64LE(at + 16)), 37n) * k1) ^ w[1]
      y = u64(rotate(u64(y + v[1] + bytes.readBigUInt64LE(at + 48)), 42n) * k1) ^ v[0]
      z = rotate(z ^ w[0], 33n)
      v = weakHash32(bytes, at, [u64(v[1] * k1), u64(x + w[0])])
      w = weakHash32(bytes, at + 32, [u64(z + w[1]), y])
      ;[z, x] = [x, z]
    }
  }
  y = u64(y + rotate(w[0], 37n) * k0 + z)
  x = u64(x + rotate(u64(v[0] + z), 49n) * k0)
  const left = bytes.length - at
  for (let done = 32; done - 32 < left; done += 32) {
    const from = bytes.length - done
    y = u64(rotate(u64(y - x), 42n) * k0 + v[1])
    w[0] = u64(w[0] + bytes.readBigUInt64LE(from + 16))
    x = u64(rotate(x, 49n) * k0 + w[0])
    w[0] = u64(w[0] + v[0])
    v = weakHash32(bytes, from, v)
  }
  x = hash16(x, v[0])
  y = hash16(y, w[0])
  return [u64(hash16(u64(x + v[1]), w[1]) + y), hash16(u64(x + w[1]), u64(y + v[1]))]
}

/** The 16 bytes of the hash as ClickHouse writes them: low half first, each half little-endian. */
export function cityHash128(bytes: Buffer): Buffer {
  const { length } = bytes
  let hash: Pair
  if (length >= 16)
    hash = hashSeeded(bytes.subarray(16), [bytes.readBigUInt64LE(0) ^ k3, bytes.readBigUInt64LE(8)])
  else if (length >= 8)
    hash = hashSeeded(bytes.subarray(0, 0), [
      bytes.readBigUInt64LE(0) ^ u64(BigInt(length) * k0),
      bytes.readBigUInt64LE(length - 8) ^ k1,
    ])
  else hash = hashSeeded(bytes, [k0, k1])
  const out = Buffer.alloc(16)
  out.writeBigUInt64LE(hash[0], 0)
  out.writeBigUInt64LE(hash[1], 8)
  return out
}
