/** Counters among the generic metrics as columns. Those that the rows in JSON leave out take their defaults here too. */
import { Adler32 } from '../../../std/adler32.ts'
import { constantPiece } from '../../../std/arena.ts'
import { ColumnRows } from '../../processor/columns/columns.ts'
import type { Message, MessageProcessor, Output, ProcessorContext } from '../../processor/processor.ts'
import { hasTenSeconds, isEscalating, read, readCounter, receivedMs, tags } from './counters-message.ts'
import { metricField as field } from './metric.ts'
import { MetricColumns } from './metric-columns.ts'

const sum = new Adler32()
const counter = constantPiece('counter')
const version = 3
/** The default of the table's column: a column has a value in every row. */
const weightDefault = 1

export class GenericCountersByColumns implements MessageProcessor {
  readonly columns: readonly ColumnRows[]
  readonly #context: ProcessorContext
  readonly #rows = new ColumnRows()
  readonly #head = new MetricColumns(read, this.#rows)
  readonly #tagNames = this.#rows.u64s('tags.key')
  readonly #tagIndices = this.#rows.u64s('tags.indexed_value')
  readonly #tagValues = this.#rows.texts('tags.raw_value')
  readonly #value = this.#rows.f64('count_value')
  readonly #type = this.#rows.key('metric_type')
  readonly #version = this.#rows.u8('materialization_version')
  readonly #hasMeta = this.#rows.u8('record_meta')
  readonly #timeseries = this.#rows.u32('timeseries_id')
  readonly #granularities = this.#rows.u8s('granularities')
  readonly #minRetention = this.#rows.u8('min_retention_days')
  readonly #weight = this.#rows.u64('sampling_weight')

  constructor(context: ProcessorContext) {
    this.#context = context
    this.columns = [this.#rows]
  }

  process(message: Message, output: Output): void {
    if (!readCounter(message, this.#context, output)) return
    this.#head.put(this.#context.retention, sum)
    this.#minRetention.put(this.#head.days & 0xff)
    this.#putTags()
    this.#timeseries.put(sum.sum())
    this.#value.put(read.float(field.value))
    this.#type.putPiece(counter.start, counter.end)
    this.#version.put(version)
    this.#hasMeta.put(isEscalating() ? 0 : 1)
    this.#putGranularities()
    if (read.isMissing(field.samplingWeight)) this.#weight.put(weightDefault)
    else this.#weight.putTruncated(read.float(field.samplingWeight))
    output.times({ receivedMs: receivedMs() })
    output.endRow()
  }

  #putTags(): void {
    const names = this.#tagNames
    for (let tag = 0; tag < tags.count; tag++) {
      tags.putName(tag, names.items, sum)
      tags.addText(tag, sum)
      this.#tagIndices.items.putWords(0, 0)
      this.#tagValues.items.putJson(tags.valueStart(tag), tags.valueEnd(tag))
    }
    names.end()
    this.#tagIndices.end()
    this.#tagValues.end()
  }

  #putGranularities(): void {
    const { items } = this.#granularities
    for (let granularity = 1; granularity <= 3; granularity++) items.put(granularity)
    if (hasTenSeconds()) items.put(0)
    this.#granularities.end()
  }
}
