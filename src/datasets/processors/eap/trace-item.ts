/** A TraceItem of Sentry's protocol (`sentry_protos.snuba.v1`), as places in the message. */
import { doubleAt, putCopy, reserve, rowEnd } from '../../../std/arena.ts'
import { Attributes, valueKinds } from './attributes.ts'
import { checkDepth, markText, ProtoReader, wire } from './proto-reader.ts'

/** Of what a value of an attribute holds: inside the item, its attributes and the value. */
const depthOfValues = 3
const noSeconds = { isSet: false, low: 0, high: 0 }

export type Bounds = { start: number; end: number; marks: number }
export type Halves = { low: number; high: number }
export type Seconds = Halves & { isSet: boolean }

export class TraceItem {
  readonly attributes = new Attributes()
  readonly organizationId: Halves = { low: 0, high: 0 }
  readonly projectId: Halves = { low: 0, high: 0 }
  readonly traceId: Bounds = { start: 0, end: 0, marks: 0 }
  readonly itemId: Bounds = { start: 0, end: 0, marks: 0 }
  readonly conversationId: Bounds = { start: 0, end: 0, marks: 0 }
  readonly sessionId: Bounds = { start: 0, end: 0, marks: 0 }
  readonly timestamp: Seconds = { ...noSeconds }
  readonly received: Seconds = { ...noSeconds }
  itemType = 0
  clientSampleRate = 0
  serverSampleRate = 0
  retentionDays = 0
  downsampledRetentionDays = 0
  readonly #reader = new ProtoReader()
  readonly #key: Bounds = { start: 0, end: 0, marks: 0 }
  readonly #value = { kind: 0, a: 0, b: 0, marks: 0 }

  /** Loads a message and reads it; throws `InvalidMessage` if it is not well formed. */
  read(message: Buffer): void {
    this.#clear()
    const reader = this.#reader
    reader.load(message)
    while (reader.next(reader.end)) this.#readField()
  }

  #clear(): void {
    this.attributes.clear()
    for (const bounds of [this.traceId, this.itemId, this.conversationId, this.sessionId])
      setBounds(bounds, 0, 0)
    setHalves(this.organizationId, 0, 0)
    setHalves(this.projectId, 0, 0)
    Object.assign(this.timestamp, noSeconds)
    Object.assign(this.received, noSeconds)
    this.itemType = 0
    this.clientSampleRate = 0
    this.serverSampleRate = 0
    this.retentionDays = 0
    this.downsampledRetentionDays = 0
  }

  #readField(): void {
    switch (this.#reader.field) {
      case 1:
        this.#readHalves(this.organizationId)
        break
      case 2:
        this.#readHalves(this.projectId)
        break
      case 3:
        this.#readText(this.traceId)
        break
      case 4:
        this.#readBytes(this.itemId)
        break
      case 5:
        this.itemType = this.#readU32() | 0
        break
      case 6:
        this.#readSeconds(this.timestamp)
        break
      case 7:
        this.#readAttribute()
        break
      case 8:
        this.clientSampleRate = doubleAt(this.#reader.fixed64())
        break
      case 9:
        this.serverSampleRate = doubleAt(this.#reader.fixed64())
        break
      case 10:
        this.#readText(this.conversationId)
        break
      case 11:
        this.#readText(this.sessionId)
        break
      case 100:
        this.retentionDays = this.#readU32()
        break
      case 101:
        this.#readSeconds(this.received)
        break
      case 102:
        this.downsampledRetentionDays = this.#readU32()
        break
      case 110:
        this.#checkOutcomes()
        break
      default:
        this.#reader.skip()
    }
  }

  #readU32(): number {
    this.#reader.expect(wire.varint)
    this.#reader.varint()
    return this.#reader.low >>> 0
  }

  #readHalves(halves: Halves): void {
    this.#reader.expect(wire.varint)
    this.#reader.varint()
    setHalves(halves, this.#reader.low, this.#reader.high)
  }

  #readText(bounds: Bounds): void {
    const end = this.#reader.lengthEnd()
    setBounds(bounds, this.#reader.at, end)
    bounds.marks = markText(this.#reader.at, end)
    this.#reader.at = end
  }

  #readBytes(bounds: Bounds): void {
    const end = this.#reader.lengthEnd()
    setBounds(bounds, this.#reader.at, end)
    this.#reader.at = end
  }

  #readSeconds(seconds: Seconds): void {
    const reader = this.#reader
    const end = reader.lengthEnd()
    seconds.isSet = true
    while (reader.next(end)) {
      if (reader.field > 2) reader.skip(1)
      else {
        reader.expect(wire.varint)
        reader.varint()
        if (reader.field === 1) setHalves(seconds, reader.low, reader.high)
      }
    }
  }

  #readAttribute(): void {
    const reader = this.#reader
    const end = reader.lengthEnd()
    const value = this.#value
    setBounds(this.#key, reader.at, reader.at)
    value.kind = valueKinds.none
    value.marks = 0
    while (reader.next(end)) {
      if (reader.field === 1) this.#readText(this.#key)
      else if (reader.field === 2) this.#readValue(reader.lengthEnd())
      else reader.skip(1)
    }
    this.attributes.add(this.#key, value)
  }

  /** Reads an AnyValue up to `end` into `#value`. */
  #readValue(end: number): void {
    const reader = this.#reader
    while (reader.next(end)) {
      switch (reader.field) {
        case 1:
          this.#readTextValue()
          break
        case 2:
          reader.expect(wire.varint)
          reader.varint()
          this.#setValue(valueKinds.bool, (reader.low | reader.high) === 0 ? 0 : 1, 0)
          break
        case 3:
          reader.expect(wire.varint)
          reader.varint()
          this.#setValue(valueKinds.int, reader.low, reader.high)
          break
        case 4:
          this.#setValue(valueKinds.float, reader.fixed64(), 0)
          break
        case 5:
          this.#readArrayValue()
          break
        case 6:
          this.#checkPairs(reader.lengthEnd(), depthOfValues)
          this.#setValue(valueKinds.none, 0, 0)
          break
        case 7:
          reader.at = reader.lengthEnd()
          this.#setValue(valueKinds.none, 0, 0)
          break
        default:
          reader.skip(2)
      }
    }
  }

  #readTextValue(): void {
    const reader = this.#reader
    const end = reader.lengthEnd()
    this.#setValue(valueKinds.text, reader.at, end)
    this.#value.marks = markText(reader.at, end)
    reader.at = end
  }

  /** An array after another in one value continues it: both are put together where the row will begin. */
  #readArrayValue(): void {
    const value = this.#value
    const end = this.#reader.lengthEnd()
    const start = this.#reader.at
    this.#checkValues(end, depthOfValues)
    if (value.kind !== valueKinds.array) {
      this.#setValue(valueKinds.array, start, end)
      return
    }
    const joined = rowEnd()
    reserve(value.b - value.a + end - start)
    putCopy(value.a, value.b)
    putCopy(start, end)
    this.#setValue(valueKinds.array, joined, rowEnd())
  }

  #setValue(kind: number, a: number, b: number): void {
    const value = this.#value
    value.kind = kind
    value.a = a
    value.b = b
  }

  /** Checks an ArrayValue up to `end`. */
  #checkValues(end: number, depth: number): void {
    const reader = this.#reader
    checkDepth(depth)
    while (reader.next(end)) {
      if (reader.field === 1) this.#checkValue(reader.lengthEnd(), depth + 1)
      else reader.skip(depth)
    }
  }

  /** Checks a KeyValueList up to `end`. */
  #checkPairs(end: number, depth: number): void {
    const reader = this.#reader
    checkDepth(depth)
    while (reader.next(end)) {
      if (reader.field === 1) this.#checkPair(reader.lengthEnd(), depth + 1)
      else reader.skip(depth)
    }
  }

  #checkPair(end: number, depth: number): void {
    const reader = this.#reader
    checkDepth(depth)
    while (reader.next(end)) {
      if (reader.field === 1) this.#checkText()
      else if (reader.field === 2) this.#checkValue(reader.lengthEnd(), depth + 1)
      else reader.skip(depth)
    }
  }

  #checkValue(end: number, depth: number): void {
    const reader = this.#reader
    checkDepth(depth)
    while (reader.next(end)) {
      if (reader.field === 1) this.#checkText()
      else if (reader.field === 5) this.#checkValues(reader.lengthEnd(), depth + 1)
      else if (reader.field === 6) this.#checkPairs(reader.lengthEnd(), depth + 1)
      else {
        if (reader.field <= 3) reader.expect(wire.varint)
        else if (reader.field === 4) reader.expect(wire.fixed64)
        else if (reader.field === 7) reader.expect(wire.bytes)
        reader.skip(reader.field <= 7 ? 0 : depth)
      }
    }
  }

  #checkText(): void {
    const end = this.#reader.lengthEnd()
    markText(this.#reader.at, end)
    this.#reader.at = end
  }

  /** Outcomes are billed elsewhere; here they only have to be well formed. */
  #checkOutcomes(): void {
    const reader = this.#reader
    const end = reader.lengthEnd()
    while (reader.next(end)) {
      if (reader.field === 1) this.#checkCategoryCount(reader.lengthEnd())
      else {
        if (reader.field === 2) reader.expect(wire.varint)
        reader.skip(1)
      }
    }
  }

  #checkCategoryCount(end: number): void {
    const reader = this.#reader
    while (reader.next(end)) {
      if (reader.field <= 2) reader.expect(wire.varint)
      reader.skip(2)
    }
  }
}

function setHalves(halves: Halves, low: number, high: number): void {
  halves.low = low
  halves.high = high
}

function setBounds(bounds: Bounds, start: number, end: number): void {
  bounds.start = start
  bounds.end = end
  bounds.marks = 0
}
