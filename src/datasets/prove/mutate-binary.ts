/**
 * Messages that are almost like a given binary one. Bytes that read as Protocol Buffers are changed field by
 * field, without knowing what the fields mean, so that most of them are still messages; other bytes are changed
 * as they come.
 */
import type { Random } from '../../ports/random.ts'
import { edgeIntegers, edgeTexts } from './edges.ts'
import { type Field, readFields, writeFields } from './proto-syntax.ts'
import { below, pick } from './seeded-random.ts'

export function mutateBinary(bytes: Buffer, random: Random): Buffer {
  const fields = random.next() < 0.85 ? readFields(bytes) : undefined
  return fields === undefined ? mutateBytes(bytes, random) : writeFields(changeFields(fields, random))
}

export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  const at = below(random, bytes.length)
  const size = 1 + below(random, 8)
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  const edges = [
    () => head,
    () => Buffer.concat([head, tail.subarray(size)]),
    () => Buffer.concat([head, random.bytes(size), tail]),
    () => Buffer.concat([head, random.bytes(size), tail.subarray(size)]),
    () => Buffer.concat([head, tail.subarray(0, size), tail]),
    () => Buffer.concat([head, Buffer.from([(tail[0] ?? 0) ^ (1 << below(random, 8))]), tail.subarray(1)]),
    () => Buffer.concat([head, Buffer.from([0xff]), tail.subarray(1)]),
    () => Buffer.concat([bytes, Buffer.from([0])]),
    () => Buffer.alloc(0),
  ] as const
  return pick(random, edges)()
}

function changeFields(fields: readonly Field[], random: Random): Field[] {
  const at = below(random, fields.length)
  const field = fields[at]
  if (field === undefined) return [{ number: 1, value: { wire: 0, integer: pick(random, edgeIntegers) } }]
  const choice = random.next()
  if (choice < 0.12) return fields.toSpliced(at, 1)
  if (choice < 0.2) return fields.toSpliced(below(random, fields.length), 0, field)
  if (choice < 0.26) return fields.toReversed()
  if (choice < 0.3) return fields.with(at, { ...field, number: 1 + below(random, 40) })
  return fields.with(at, { ...field, value: changeValue(field.value, random) })
}

function changeValue(value: Field['value'], random: Random): Field['value'] {
  if (value.wire === 0) return { wire: 0, integer: BigInt.asUintN(64, pick(random, edgeIntegers)) }
  if (value.wire !== 2) return { ...value, bytes: edgeFixed(value.bytes, random) }
  const inner = random.next() < 0.85 ? readFields(value.bytes) : undefined
  if (inner !== undefined && inner.length > 0)
    return { wire: 2, bytes: writeFields(changeFields(inner, random)) }
  const texts = [
    () => Buffer.from(pick(random, edgeTexts)),
    () => value.bytes.subarray(0, below(random, value.bytes.length)),
    () => Buffer.concat([value.bytes, value.bytes]),
    () => random.bytes(below(random, 20)),
    () => Buffer.from(value.bytes.toString().toUpperCase()),
  ] as const
  return { wire: 2, bytes: pick(random, texts)() }
}

function edgeFixed(bytes: Buffer, random: Random): Buffer {
  const edge = Buffer.alloc(8)
  const number = pick(random, [0, -0, 1, -1, 0.1, 1e16, 1e300, 5e-324, Number.NaN, Number.POSITIVE_INFINITY])
  if (bytes.length === 8 && random.next() < 0.7) edge.writeDoubleLE(number)
  else edge.writeBigUInt64LE(BigInt.asUintN(64, pick(random, edgeIntegers)))
  return edge.subarray(0, bytes.length)
}
