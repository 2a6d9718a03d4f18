/**
 * The messages of a request: elements of a JSON array, lines of NDJSON, or the file parts of a form. Each is
 * given as the bytes that were sent, so that nothing of a message is lost on the way to the processor.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'

const backslash = 0x5c
const quote = 0x22

/** Fails with `REQUEST_INVALID`. */
export async function readMessages(body: Buffer, contentType: string): Promise<Buffer[]> {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'multipart/form-data') return await formFiles(body, contentType)
  if (type === 'application/x-ndjson' || type === 'application/jsonl') return lines(body)
  if (body.toString('latin1').trimStart().startsWith('[')) return arrayElements(body)
  throw invalid('The body is neither a JSON array of messages, nor NDJSON, nor a form with files.')
}

async function formFiles(body: Buffer, contentType: string): Promise<Buffer[]> {
  let form: FormData
  try {
    form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
  } catch (cause) {
    throw new RowmillError('REQUEST_INVALID', 'The form could not be read.', { cause })
  }
  const files: Buffer[] = []
  for (const [, part] of form)
    files.push(typeof part === 'string' ? Buffer.from(part) : Buffer.from(await part.arrayBuffer()))
  return files
}

function lines(body: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let from = 0; from < body.length; ) {
    const end = body.indexOf(0x0a, from)
    const line = body.subarray(from, end === -1 ? body.length : end)
    if (line.toString('latin1').trim() !== '') found.push(line)
    from = end === -1 ? body.length : end + 1
  }
  return found
}

/** Slices of the array's elements. That the whole is JSON is checked first, so only brackets and quotes count. */
function arrayElements(body: Buffer): Buffer[] {
  try {
    JSON.parse(body.toString())
  } catch (cause) {
    throw new RowmillError('REQUEST_INVALID', 'The body is not JSON.', { cause })
  }
  const elements: Buffer[] = []
  let depth = 0
  let from = -1
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]
    if (byte === quote) {
      at = endOfString(body, at)
      continue
    }
    if (byte === 0x5b || byte === 0x7b) {
      if (++depth === 1) from = at + 1
    } else if (byte === 0x5d || byte === 0x7d) {
      if (--depth === 0) addElement(elements, body.subarray(from, at))
    } else if (byte === 0x2c && depth === 1) {
      addElement(elements, body.subarray(from, at))
      from = at + 1
    }
  }
  return elements
}

function endOfString(body: Buffer, from: number): number {
  let at = from + 1
  while (body[at] !== quote) at += body[at] === backslash ? 2 : 1
  return at
}

function addElement(elements: Buffer[], slice: Buffer): void {
  if (slice.toString('latin1').trim() !== '') elements.push(slice)
}

function invalid(message: string): RowmillError {
  return new RowmillError('REQUEST_INVALID', message)
}
