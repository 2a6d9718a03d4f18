/** What the two plain processors of metrics share: tags in their order and the checksum of a time series. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import { fields, type Json, type Read } from './strict-json.ts'

/** The object's fields by the bytes of their names; of a name twice the last counts. */
export function tagsOf<Value>(read: Read<Value>): Read<[string, Value][]> {
  return (value: Json, path: string) => {
    const tags = new Map<string, Value>()
    for (const field of fields(value, path).list)
      tags.set(field.name, read(field.value, `${path}.${field.name}`))
    return [...tags].sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
  }
}

/** A tag's name as an integer of 64 bits. */
export function tagKey(name: string): bigint {
  const value = /^\+?\d+$/.test(name) ? BigInt(name.replace('+', '')) : -1n
  if (value < 0n || value >= 1n << 64n)
    throw new InvalidMessage('Expected the name of a tag to be an integer.', { path: `tags.${name}` })
  return value
}

export function bytesOf(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** Adler-32. */
export function checksum(parts: readonly Buffer[]): number {
  let low = 1
  let high = 0
  for (const byte of Buffer.concat(parts)) {
    low = (low + byte) % 65_521
    high = (high + low) % 65_521
  }
  return high * 65_536 + low
}
