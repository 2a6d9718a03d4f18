/** What `plugin test` is given: as JSON on the command line, in a file, or on standard input. */
import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { text } from 'node:stream/consumers'
import type { PluginAttachment } from '../../../plugins/requests.ts'
import { UsageError } from '../../command.ts'

type Given = string | boolean | string[] | undefined
type NamedEvent = Readonly<Record<string, unknown>> & { event: string }

const contentTypes: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.csv': 'text/csv',
  '.txt': 'text/plain',
}

export async function readEvents(option: Given): Promise<NamedEvent[]> {
  if (typeof option !== 'string' || option === '')
    throw new UsageError('--event takes JSON, a file, or - for standard input.')
  const isText = /^\s*[{[]/.test(option)
  const source = isText ? '--event' : option === '-' ? 'Standard input' : option
  const content = isText
    ? option
    : option === '-'
      ? await text(process.stdin)
      : (await read(option)).toString()
  const values = parseEvents(content, source)
  if (values.length === 0) throw new UsageError(`${source} has no event.`)
  return values.map((value, at) => {
    if (isRecord(value) && hasName(value)) return value
    const which = values.length === 1 ? 'the event' : `event ${at + 1}`
    throw new UsageError(`${source}: ${which} is no object with a name, like {"event": "$pageview"}.`)
  })
}

function parseEvents(content: string, source: string): unknown[] {
  try {
    const value: unknown = JSON.parse(content)
    return Array.isArray(value) ? value : [value]
  } catch (error) {
    const lines = content.split('\n').map((line, at) => ({ line, number: at + 1 }))
    const full = lines.filter(({ line }) => line.trim() !== '')
    const [first] = full
    // A value over several lines is no list of lines: its own error says more.
    if (first === undefined) return []
    if (full.length === 1 || !isJson(first.line))
      throw new UsageError(`${source} is not JSON: ${messageOf(error)}`)
    return full.map(({ line, number }) => parse(line, `${source}, line ${number},`))
  }
}

export async function readConfig(option: Given): Promise<Record<string, unknown>> {
  if (option === undefined) return {}
  if (typeof option !== 'string' || option === '')
    throw new UsageError('--plugin-config takes an object in JSON, or a file with one.')
  const isText = /^\s*[{[]/.test(option)
  const source = isText ? '--plugin-config' : option
  const value = parse(isText ? option : (await read(option)).toString(), source)
  if (isRecord(value)) return value
  throw new UsageError(`${source} is no object of config keys.`)
}

export async function readAttachments(option: Given): Promise<Record<string, PluginAttachment>> {
  const attachments: Record<string, PluginAttachment> = {}
  for (const pair of Array.isArray(option) ? option : []) {
    const [, key, file] = /^([^=]+)=(.+)$/s.exec(pair) ?? []
    if (key === undefined || file === undefined)
      throw new UsageError(`--attachment takes key=file, not ${JSON.stringify(pair)}.`)
    const contentType = contentTypes[extname(file).toLowerCase()] ?? 'application/octet-stream'
    attachments[key] = { contentType, fileName: basename(file), contents: await read(file) }
  }
  return attachments
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new UsageError(`${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

function parse(content: string, source: string): unknown {
  try {
    return JSON.parse(content)
  } catch (cause) {
    throw new UsageError(`${source} is not JSON: ${messageOf(cause)}`, { cause })
  }
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false // which is the answer
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasName(value: Record<string, unknown>): value is Record<string, unknown> & { event: string } {
  return typeof value.event === 'string'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
