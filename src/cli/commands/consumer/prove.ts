import { isUtf8 } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { createSystemClock } from '../../../adapters/embedded/clock.ts'
import type { FoundDifference, Proof } from '../../../datasets/prove/prove.ts'
import { findStorage } from '../../../datasets/storage/read-storage.ts'
import type { Storage } from '../../../datasets/storage/storage.ts'
import { chooseProcessor, type ProcessorSource } from '../../../datasets/user/choose-processor.ts'
import { type Command, type CommandContext, UsageError } from '../../command.ts'
import { clean, json } from '../../output.ts'

const generateMax = 10_000_000
/** What processors may print during a proof. */
const printedBytesMax = 64 * 1024

export const proveCommand: Command = {
  name: 'prove',
  summary: 'Run two processors of a storage on the same messages and print the first difference.',
  usage:
    'prove --storage <name | file> --right <module> [--left built-in | <module>] [--payloads <folder>] [--generate <n>]',
  options: {
    storage: { kind: 'text', placeholder: 'name|file', description: 'The storage, or its YAML file.' },
    left: {
      kind: 'text',
      placeholder: 'built-in|module',
      description: "One processor; the storage's own if it is not given.",
    },
    right: { kind: 'text', placeholder: 'built-in|module', description: 'The other one.' },
    payloads: {
      kind: 'text',
      placeholder: 'folder',
      description: 'Folder with messages: .json, .ndjson (one a line), .bin.',
    },
    generate: {
      kind: 'text',
      placeholder: 'n',
      description: "Messages to make of the payloads and of the storage's schema (default 1000).",
    },
    seed: {
      kind: 'text',
      placeholder: 'number',
      description: 'The same seed makes the same messages (default: a new one, which is printed).',
    },
    ignore: {
      kind: 'list',
      placeholder: 'column',
      description: 'A column that is not compared; may be repeated.',
    },
    timeout: {
      kind: 'text',
      placeholder: 'ms',
      description: 'How long a processor may take over one message (default 10000).',
    },
    'storage-file': {
      kind: 'list',
      placeholder: 'file',
      description: "A YAML file of a storage beside the program's own; may be repeated.",
    },
  },
  async run({ options, terminal, isJson, signal }) {
    const wish = wishOf(options)
    const storage = await findStorage(wish.storage, { files: wish.storageFiles })
    const left = sourceOf(storage, wish.left)
    const right = sourceOf(storage, wish.right)
    // Loaded only here: they bring the library that makes messages.
    const { proveApart } = await import('../../../datasets/prove/prove-apart.ts')
    const { readPayloads } = await import('../../../datasets/prove/payloads.ts')
    const proof = await proveApart({
      storage: {
        name: storage.name,
        tables: storage.tables,
        format: storage.writer.format,
        retention: storage.retention,
        options: storage.processor.options,
        messageSchema: storage.stream.messageSchema,
      },
      left,
      right,
      payloads: wish.payloads === undefined ? [] : await readPayloads(resolve(wish.payloads)),
      generate: wish.generate,
      seed: wish.seed,
      ignore: wish.ignore,
      messageTimeoutMs: wish.messageTimeoutMs,
      printedBytesMax,
      clock: createSystemClock(),
      onPrinted: terminal.err,
      signal,
    })
    const sides = { left: nameOf(left), right: nameOf(right) }
    terminal.out(
      isJson
        ? json({
            storage: storage.name,
            ...sides,
            seed: wish.seed,
            ...proof,
            difference: bodyOf(proof.difference),
          })
        : describeProof(proof, { ...sides, seed: wish.seed }),
    )
    return proof.difference === undefined ? 0 : 1
  },
}

type Wish = {
  storage: string
  left: string | undefined
  right: string
  payloads: string | undefined
  generate: number
  seed: number
  ignore: string[]
  messageTimeoutMs: number
  storageFiles: string[]
}

function wishOf(options: CommandContext['options']): Wish {
  const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined)
  const list = (name: string) => (Array.isArray(options[name]) ? options[name] : [])
  const number = (name: string, otherwise: number) => {
    const value = Number(text(name) ?? otherwise)
    if (!Number.isInteger(value) || value < 0 || value > generateMax * 1000)
      throw new UsageError(`--${name} takes a whole number.`)
    return value
  }
  const [storage, right] = [text('storage'), text('right')]
  if (storage === undefined) throw new UsageError('Which storage? --storage takes its name or its file.')
  if (right === undefined) throw new UsageError('--right takes the other processor: a module, or built-in.')
  const generate = number('generate', 1000)
  if (generate > generateMax) throw new UsageError(`--generate takes up to ${generateMax}.`)
  return {
    storage,
    right,
    left: text('left'),
    payloads: text('payloads'),
    generate,
    seed: number('seed', randomInt(2 ** 31)),
    ignore: list('ignore'),
    messageTimeoutMs: Math.max(1, number('timeout', 10_000)),
    storageFiles: list('storage-file'),
  }
}

/** Without a wish, what the storage's YAML says. */
function sourceOf(storage: Storage, side: string | undefined): ProcessorSource {
  if (side === undefined) return chooseProcessor(storage)
  return side === 'built-in'
    ? chooseProcessor(storage, { kind: 'built-in' })
    : chooseProcessor(storage, { kind: 'user', module: resolve(side) })
}

function nameOf(source: ProcessorSource): string {
  return source.kind === 'module' ? source.file : `built-in ${source.name}`
}

/** The message as text where it is text. */
function bodyOf(difference: FoundDifference | undefined) {
  if (difference === undefined) return null
  const { value, ...rest } = difference
  return isUtf8(value)
    ? { ...rest, message: value.toString() }
    : { ...rest, messageBase64: value.toString('base64') }
}

function describeProof(proof: Proof, sides: { left: string; right: string; seed: number }): string {
  const { messages, endings, difference } = proof
  const count = messages.payload + messages.mutated + messages.generated
  const made = `${messages.payload} payloads, ${messages.mutated} changed ones, ${messages.generated} generated, seed ${sides.seed}`
  const lines = [
    `left   ${sides.left}, ${proof.formats.left}`,
    `right  ${sides.right}, ${proof.formats.right}`,
    '',
  ]
  if (difference === undefined)
    return `${[
      ...lines,
      `They agree on ${count} messages (${made}).`,
      `${endings.rows} messages gave ${proof.rows} rows; ${endings.skip} were skipped, ${endings.replacement} replacements, ${endings.invalid} invalid, ${endings.ignored} ignored.`,
      ...failureLines(proof),
    ].join('\n')}\n`
  return `${[
    ...lines,
    `They differ at ${clean(difference.path)}:`,
    `left   ${clean(difference.left)}`,
    `right  ${clean(difference.right)}`,
    '',
    `Message ${count} (${made}), from ${clean(difference.origin)}:`,
    describeMessage(difference),
  ].join('\n')}\n`
}

function failureLines({ failures }: Proof): string[] {
  if (failures.left + failures.right === 0) return []
  return [
    `Errors other than InvalidMessage: ${failures.left} at the left side, ${failures.right} at the right one.`,
  ]
}

function describeMessage({ value, headers, foundBytes }: FoundDifference): string {
  const text = isUtf8(value) ? clean(value.toString()) : `in base64: ${value.toString('base64')}`
  const smaller = value.length < foundBytes ? `\nIt had ${foundBytes} bytes and was made smaller.` : ''
  const beside = Object.keys(headers).length === 0 ? '' : `\nHeaders: ${clean(JSON.stringify(headers))}`
  return `${text}${beside}${smaller}`
}
