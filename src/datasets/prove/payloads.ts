/**
 * Messages in files: `x.json` and `x.bin` are one message each, `x.ndjson` is one a line. Headers of the messages of
 * `x.json` stand in `x.headers.json`. `x.rows.json` are rows that somebody expects, and no message.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { LogHeaders } from '../../event/headers.ts'

export type Payload = { name: string; value: Buffer; headers: LogHeaders }

const headersForm = z.record(z.string(), z.string().nullable())

/** Throws `PAYLOADS_INVALID` for a folder that cannot be read or headers that are none. */
export async function readPayloads(folder: string): Promise<Payload[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (cause) {
    throw new RowmillError('PAYLOADS_INVALID', `The folder ${folder} cannot be read.`, { cause })
  }
  const isMessage = (name: string) =>
    /\.(json|ndjson|bin)$/.test(name) && !/\.(rows|headers)\.json$/.test(name)
  const payloads: Payload[] = []
  for (const name of names.filter(isMessage).toSorted()) {
    const bytes = await readFile(join(folder, name))
    const headersName = name.replace(/\.\w+$/, '.headers.json')
    const headers = names.includes(headersName) ? await readHeaders(join(folder, headersName)) : {}
    if (!name.endsWith('.ndjson')) payloads.push({ name, value: bytes, headers })
    else
      for (const [line, value] of linesOf(bytes)) payloads.push({ name: `${name}:${line}`, value, headers })
  }
  return payloads
}

async function readHeaders(file: string): Promise<LogHeaders> {
  try {
    return headersForm.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new RowmillError('PAYLOADS_INVALID', `${file} is no object of headers.`, { cause })
  }
}

/** Lines that are not empty, with their numbers from 1. */
function linesOf(bytes: Buffer): [line: number, value: Buffer][] {
  const lines: [number, Buffer][] = []
  for (let from = 0, line = 1; from < bytes.length; line++) {
    const end = bytes.indexOf('\n', from)
    const value = bytes.subarray(from, end < 0 ? bytes.length : end)
    if (value.toString('latin1').trim() !== '') lines.push([line, value])
    from += value.length + 1
  }
  return lines
}
