/**
 * Ready messages are rows already: JSON objects whose keys are the table's columns. They are not parsed on
 * the way; where the record stood on the log is spliced in before the last brace. What does not look like
 * one object on one line is parsed, and put on one line or refused.
 */
import { parseObject } from '../../parse-object.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { CreateProcessor, Message, MessageProcessor } from '../../processor/processor.ts'

const openBrace = 0x7b
const closeBrace = 0x7d
const newline = 0x0a

/** The message is the row. */
export const createReadyRow: CreateProcessor = ({ options }) => {
  refuseOptions('ready_row', options)
  return {
    process(message, output) {
      output.splice(rowOf(message), placeOf(message))
    },
  }
}

/** Distinct ids that have changed hands go into the second table as well: the overrides. */
export const createReadyDistinctId: CreateProcessor = ({ options }): MessageProcessor => {
  refuseOptions('ready_distinct_id', options)
  return {
    process(message, output) {
      const row = rowOf(message)
      const parsed = parseObject(message.value)
      if (parsed === undefined) throw notAnObject()
      const place = placeOf(message)
      output.splice(row, place)
      if (Number(parsed.version) > 0) output.splice(row, place, 1)
    },
  }
}

function rowOf({ value }: Message): Buffer {
  const row = looksLikeRow(value) ? value : onOneLine(value)
  if (row === undefined) throw notAnObject()
  return row
}

/** Empty objects are left to the slow path: a comma must not follow the opening brace. */
function looksLikeRow(value: Buffer): boolean {
  const last = value.length - 1
  return last > 1 && value[0] === openBrace && value[last] === closeBrace && !value.includes(newline)
}

/** In JSON that can be read a raw newline stands between things only. */
function onOneLine(value: Buffer): Buffer | undefined {
  const parsed = parseObject(value)
  if (parsed === undefined || Object.keys(parsed).length === 0) return undefined
  return Buffer.from(value.toString().trim().replaceAll('\n', ' '))
}

function placeOf({ timestampMs, offset, partition }: Message): string {
  const seconds = Math.floor(timestampMs / 1000)
  return `,"_timestamp":${seconds},"_offset":${offset},"_partition":${partition}}`
}

function notAnObject(): InvalidMessage {
  return new InvalidMessage('The message is not a JSON object.')
}

function refuseOptions(name: string, options: Readonly<Record<string, unknown>>): void {
  const [option] = Object.keys(options)
  if (option !== undefined) throw new TypeError(`${name} has no options, and is given ${option}.`)
}
