/** The fields of a protobuf message as they come, for the plain processors, as strict as Rust's prost. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'

/** A field, to be read as the kind that it should be of. */
export type Field = {
  number: number
  varint: () => bigint
  double: () => number
  bytes: () => Uint8Array
  text: () => string
}

/** Prost follows messages and groups inside each other so deep. */
const depthMax = 100

/** `depth`: how many other messages this one is inside. */
export function readFields(message: Uint8Array, depth: number): Field[] {
  if (depth > depthMax) wrong('it is nested too deep')
  const fields: Field[] = []
  const reader = new Reader(message)
  while (!reader.isAtEnd) {
    const [number, wire] = reader.tag()
    fields.push(fieldOf(number, wire, reader.value(number, wire, depth)))
  }
  return fields
}

type WireValue = bigint | Uint8Array

function fieldOf(number: number, wire: number, value: WireValue): Field {
  const bytes = (expected: number) => {
    if (wire !== expected || typeof value === 'bigint') return wrong(`field ${number} is of another kind`)
    return value
  }
  return {
    number,
    varint: () => (typeof value === 'bigint' ? value : wrong(`field ${number} is no integer`)),
    double: () => Buffer.from(bytes(1)).readDoubleLE(),
    bytes: () => bytes(2),
    text: () => {
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes(2))
      } catch (error) {
        if (error instanceof InvalidMessage) throw error
        return wrong(`field ${number} is no UTF-8`)
      }
    },
  }
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  tag(): [number: number, wire: number] {
    const tag = this.varint()
    const number = Number(tag >> 3n)
    if (tag > 0xffff_ffffn || number === 0) wrong('a field has no number')
    return [number, Number(tag & 7n)]
  }

  value(number: number, wire: number, depth: number): WireValue {
    if (wire === 0) return this.varint()
    if (wire === 1) return this.#take(8)
    if (wire === 2) return this.#take(Number(this.varint()))
    if (wire === 5) return this.#take(4)
    if (wire !== 3) return wrong(`field ${number} is of no kind`)
    if (depth >= depthMax) wrong('it is nested too deep')
    for (;;) {
      const [inner, innerWire] = this.tag()
      if (innerWire === 4 && inner === number) return new Uint8Array()
      this.value(inner, innerWire, depth + 1)
    }
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0] ?? 0
      if (shift === 63n && byte > 1) break
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
    return wrong('an integer is too long')
  }

  #take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) wrong('it ends too early')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}

function wrong(what: string): never {
  throw new InvalidMessage(`The message is no protobuf: ${what}.`)
}
