/** Protocol Buffers as they lie on the wire: numbered fields, without knowing what they mean. */
export type Field = {
  number: number
  value: { wire: 0; integer: bigint } | { wire: 1 | 2 | 5; bytes: Buffer }
}

/** The fields of a message; undefined for bytes that are none. */
export function readFields(bytes: Buffer): Field[] | undefined {
  const fields: Field[] = []
  let at = 0
  const varint = (): bigint | undefined => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) return undefined
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return undefined
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag === undefined || tag < 8n || tag > 0xffff_ffffn) return undefined
    const number = Number(tag >> 3n)
    const wire = Number(tag & 7n)
    if (wire === 0) {
      const integer = varint()
      if (integer === undefined) return undefined
      fields.push({ number, value: { wire, integer } })
      continue
    }
    if (wire !== 1 && wire !== 2 && wire !== 5) return undefined
    const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint() ?? -1n)
    if (length < 0 || at + length > bytes.length) return undefined
    fields.push({ number, value: { wire, bytes: bytes.subarray(at, at + length) } })
    at += length
  }
  return fields
}

export function writeFields(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(({ number, value }) => {
      const tag = varintBytes(BigInt(number * 8 + value.wire))
      if (value.wire === 0) return [tag, varintBytes(value.integer)]
      return value.wire === 2
        ? [tag, varintBytes(BigInt(value.bytes.length)), value.bytes]
        : [tag, value.bytes]
    }),
  )
}

function varintBytes(value: bigint): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(left)])
}
