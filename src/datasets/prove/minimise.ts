/**
 * Makes a message smaller for as long as something about it holds: leaves out keys and items, first many at
 * once, puts a part in place of the whole, shortens texts and numbers. What is no JSON loses fields, as far as it
 * reads as Protocol Buffers, and bytes.
 */
import { isUtf8 } from 'node:buffer'
import { type JsonList, type JsonNode, readSyntax, writeSyntax } from './json-syntax.ts'
import { type Field, readFields, writeFields } from './proto-syntax.ts'

export type MinimiseOptions = {
  /** Whether what was found in the message is found in this one too. */
  holds: (message: Buffer) => boolean
  /** How many smaller messages are tried. */
  triesMax: number
}

/** A message for which `holds`; the same one if nothing smaller does. */
export function minimise(message: Buffer, options: MinimiseOptions): Buffer {
  const search = { ...options, tries: 0 }
  const node = isUtf8(message) ? readSyntax(message.toString()) : undefined
  const isWhole = node !== undefined && holds(search, Buffer.from(writeSyntax(node)))
  if (isWhole) return minimiseNode(node, search)
  const fields = readFields(message)
  return minimiseBytes(fields === undefined ? message : minimiseFields(message, fields, search), search)
}

type Search = MinimiseOptions & { tries: number }

function holds(search: Search, message: Buffer): boolean {
  search.tries++
  return search.holds(message)
}

function minimiseNode(node: JsonNode, search: Search): Buffer {
  let best = node
  let bestText = writeSyntax(best)
  for (let isSmaller = true; isSmaller && search.tries < search.triesMax; ) {
    isSmaller = false
    for (const candidate of smallerNodes(best)) {
      if (search.tries >= search.triesMax) break
      const text = writeSyntax(candidate)
      if (!isSimpler(text, bestText) || !holds(search, Buffer.from(text))) continue
      best = candidate
      bestText = text
      isSmaller = true
      break
    }
  }
  return Buffer.from(bestText)
}

/** Shorter, or as long with a smaller sum of characters: every step goes down, so the steps come to an end. */
function isSimpler(text: string, than: string): boolean {
  return text.length === than.length ? weight(text) < weight(than) : text.length < than.length
}

function weight(text: string): number {
  let sum = 0
  for (let at = 0; at < text.length; at++) sum += text.charCodeAt(at)
  return sum
}

/** One step smaller, large steps first. */
function* smallerNodes(node: JsonNode): Generator<JsonNode> {
  if (typeof node !== 'string') yield* smallerLists(node)
  else if (node.startsWith('"')) yield* smallerTexts(node)
  else yield* smallerNumbers(node)
}

function* smallerLists({ open, items }: JsonList): Generator<JsonNode> {
  for (const { value } of items) yield value
  for (const [from, until] of chunks(items.length)) yield { open, items: items.toSpliced(from, until - from) }
  for (const [at, { key, value }] of items.entries()) {
    yield { open, items: items.with(at, { key, value: 'null' }) }
    for (const smaller of smallerNodes(value)) yield { open, items: items.with(at, { key, value: smaller }) }
  }
}

/** The smallest integer that a double cannot hold comes before a number's own digits are cut. */
const roundedFirst = '9007199254740993'

function* smallerNumbers(text: string): Generator<string> {
  yield* ['0', '1']
  if (!/^-?\d/.test(text)) return
  yield* ['0.5', '1.0', roundedFirst, '1e400']
  yield text.replace(/[.eE].*$/, '')
  if (/\d\d$/.test(text)) yield text.slice(0, -1)
}

function* smallerTexts(quoted: string): Generator<string> {
  const characters = readCharacters(quoted)
  if (characters.length === 0) return
  yield '""'
  for (const [from, until] of chunks(Math.min(characters.length, 64)))
    yield `"${characters.toSpliced(from, until - from).join('')}"`
  if (characters.length > 64) yield `"${characters.slice(0, characters.length >> 1).join('')}"`
}

/** The characters of a quoted text as they are written, escapes in one piece. */
function readCharacters(quoted: string): string[] {
  return quoted.slice(1, -1).match(/\\u[0-9a-fA-F]{4}|\\.|./gsu) ?? []
}

/** Ranges to leave out: halves, quarters, down to single ones. */
function* chunks(length: number): Generator<[from: number, until: number]> {
  for (let size = length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let from = 0; from < length; from += size) yield [from, Math.min(length, from + size)]
}

/** What reads as Protocol Buffers loses fields, at every depth, before it loses bytes. */
function minimiseFields(message: Buffer, fields: readonly Field[], search: Search): Buffer {
  let best = { bytes: message, fields }
  for (let isSmaller = true; isSmaller && search.tries < search.triesMax; ) {
    isSmaller = false
    for (const candidate of fewerFields(best.fields)) {
      const bytes = writeFields(candidate)
      if (bytes.length >= best.bytes.length || !holds(search, bytes)) continue
      best = { bytes, fields: candidate }
      isSmaller = true
      break
    }
  }
  return best.bytes
}

function* fewerFields(fields: readonly Field[]): Generator<Field[]> {
  for (const [from, until] of chunks(fields.length)) yield fields.toSpliced(from, until - from)
  for (const [at, field] of fields.entries()) {
    const inner = field.value.wire === 2 ? readFields(field.value.bytes) : undefined
    if (inner === undefined) continue
    for (const fewer of fewerFields(inner))
      yield fields.with(at, { ...field, value: { wire: 2, bytes: writeFields(fewer) } })
  }
}

/** Runs of bytes of at most this length are tried at every place. */
const closeBytesMax = 16

function minimiseBytes(message: Buffer, search: Search): Buffer {
  let best = message
  const leaveOut = (size: number, step: number) => {
    for (let from = 0; from < best.length && search.tries < search.triesMax; ) {
      const without = Buffer.concat([best.subarray(0, from), best.subarray(from + size)])
      if (holds(search, without)) best = without
      else from += step
    }
  }
  for (let size = best.length; size > closeBytesMax; size = Math.ceil(size / 2)) leaveOut(size, size)
  for (let size = closeBytesMax; size >= 1; size--) leaveOut(size, 1)
  return best
}
