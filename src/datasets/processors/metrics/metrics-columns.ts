/** Release-health metrics as columns. */
import { Adler32 } from '../../../std/adler32.ts'
import { arenaBytes, constantPiece } from '../../../std/arena.ts'
import { skipSpace } from '../../../std/arena-json.ts'
import { readFloat } from '../../../std/arena-numbers.ts'
import { ColumnRows } from '../../processor/columns/columns.ts'
import type { Message, MessageProcessor, Output, ProcessorContext } from '../../processor/processor.ts'
import { readWholeMessage } from '../message-fields.ts'
import { metricField as field } from './metric.ts'
import { MetricColumns } from './metric-columns.ts'
import { invalidValue, read, receivedMs, tags } from './metrics-message.ts'

const memory = arenaBytes()
const sum = new Adler32()
const [counter, set, distribution] = [
  constantPiece('counter'),
  constantPiece('set'),
  constantPiece('distribution'),
]
const version = 4
const endMarks = new Uint8Array(256)
for (const mark of ',] \t\r\n') endMarks[mark.charCodeAt(0)] = 1

export class MetricsByColumns implements MessageProcessor {
  readonly columns: readonly ColumnRows[]
  readonly #context: ProcessorContext
  readonly #rows = new ColumnRows()
  readonly #head = new MetricColumns(read, this.#rows)
  readonly #tagNames = this.#rows.u64s('tags.key')
  readonly #tagValues = this.#rows.u64s('tags.value')
  readonly #type = this.#rows.key('metric_type')
  readonly #set = this.#rows.u64s('set_values')
  readonly #count = this.#rows.f64('count_value')
  readonly #distribution = this.#rows.f64s('distribution_values')
  readonly #version = this.#rows.u8('materialization_version')
  readonly #partition = this.#rows.u16('partition')
  readonly #offset = this.#rows.u64('offset')
  readonly #timeseries = this.#rows.u32('timeseries_id')

  constructor(context: ProcessorContext) {
    this.#context = context
    this.columns = [this.#rows]
  }

  process({ value, offset, partition }: Message, output: Output): void {
    readWholeMessage(value, read.set)
    if (!read.has(field.tags)) read.refuse(field.tags, 'an object')
    tags.check()
    this.#head.put(this.#context.retention, sum)
    this.#putTags()
    this.#timeseries.put(sum.sum())
    this.#putValue()
    this.#version.put(version)
    this.#partition.put(partition)
    this.#offset.put(offset)
    output.times({ receivedMs: receivedMs() })
    output.endRow()
  }

  #putTags(): void {
    const names = this.#tagNames
    const values = this.#tagValues
    for (let tag = 0; tag < tags.count; tag++) {
      tags.putName(tag, names.items, sum)
      values.items.putDigits(tags.valueStart(tag), tags.valueEnd(tag))
      sum.words(values.items.lastLow(), values.items.lastHigh())
    }
    names.end()
    values.end()
  }

  /** Of the columns of values, one has the metric's; the others have none. */
  #putValue(): void {
    if (!read.has(field.value)) read.refuse(field.value, 'a number or an array')
    switch (read.type()) {
      case 'c':
        this.#type.putPiece(counter.start, counter.end)
        this.#count.put(read.float(field.value))
        break
      case 's':
        this.#type.putPiece(set.start, set.end)
        this.#count.put(0)
        this.#putIntegers()
        break
      case 'd':
        this.#type.putPiece(distribution.start, distribution.end)
        this.#count.put(0)
        this.#putFloats()
        break
      default:
        read.refuse(field.type, 'c, s or d')
    }
    this.#set.end()
    this.#distribution.end()
  }

  #putIntegers(): void {
    const { items } = this.#set
    for (let at = firstValue(); memory[at] !== 0x5d; ) {
      const end = valueEnd(at)
      if (!items.putDigits(at, end)) throw invalidValue('integers from 0 to 2^64 - 1')
      at = nextValue(end)
    }
  }

  #putFloats(): void {
    const { items } = this.#distribution
    for (let at = firstValue(); memory[at] !== 0x5d; ) {
      const end = valueEnd(at)
      const value = readFloat(at, end)
      if (value === undefined) throw invalidValue('numbers')
      items.put(value)
      at = nextValue(end)
    }
  }
}

/** Where a number in the array ends, which is known to be JSON; of another value, somewhere within it. */
function valueEnd(at: number): number {
  let end = at
  while (endMarks[memory[end] ?? 0] === 0) end++
  return end
}

/** Where the first value of the array is, or its closing bracket. */
function firstValue(): number {
  const start = read.start(field.value)
  if (memory[start] !== 0x5b) read.refuse(field.value, 'an array')
  return skipSpace(start + 1)
}

function nextValue(end: number): number {
  let at = (memory[end] ?? 0) <= 0x20 ? skipSpace(end) : end
  if (memory[at] !== 0x2c) return at
  at++
  return (memory[at] ?? 0) <= 0x20 ? skipSpace(at) : at
}
