/**
 * From a request's bytes to the JSON text they hold, through every wrapping that PostHog's SDKs of all ages use.
 * In this order, as PostHog's capture does it:
 *
 * 1. The payload is the query's `data` if there is one, else the body.
 * 2. If all of it looks like base64, it is decoded.
 * 3. If the content type says form, its field `data` is the payload.
 * 4. Base64, gzip or lz-string, by a hint; gzip by its magic as well. The hint comes from the query, the form, or
 *    the content encoding, in this order; an unknown hint is no hint. PostHog's capture takes no notice of the hint
 *    base64 and refuses what posthog-js sends with it to `/i/v0/e/` and `/s/`: such events would be lost.
 * 5. On the oldest routes what comes out may be base64 once more, without a hint.
 *
 * What looks like base64 and is not stays what it was: these are guesses, and the JSON parser has the last word.
 */
import { isUtf8 } from 'node:buffer'
import { gunzip, gunzipSync } from 'node:zlib'
import { RowmillError } from '../errors/rowmill-error.ts'
import { unpackLzString } from './lz-string.ts'

export type PayloadRequest = {
  queryText: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}
export type DecodeLimits = {
  /** Bytes of the payload, packed or unpacked. */
  payloadBytesMax: number
  /** Told before the unpacked bytes are used: may refuse them. */
  reserve?: (bytes: number) => void
}
export type Unpacked = {
  /** What the wrappings held: bytes, or text where unpacking gives text. */
  content: Buffer | string
  /** The query, parsed; undefined if there is none. */
  query: URLSearchParams | undefined
  /** What was found around the content, the innermost of it. */
  compression: 'gzip' | 'lz64' | 'base64' | 'none'
}
export type Payload = Omit<Unpacked, 'content'> & {
  /** JSON text, not parsed yet, in which lone surrogates are replaced. */
  text: string
}
type Compression = 'gzip' | 'lz64' | 'base64' | undefined

const formType = 'application/x-www-form-urlencoded'
const formStart = /(?:^|&)(?:data|_|ip|compression)=/
const prefixLength = 128
const strictBase64 = /^[A-Za-z0-9+/=]+$/
const looseBase64 = /^[A-Za-z0-9+/= ]+$/
const wholeBase64 = /^[A-Za-z0-9+/]*={0,2}$/
const gunzipSyncBytesMax = 65_536
const loneSurrogate = /\\u[dD][89a-fA-F]/

/** Fails with `EVENT_INVALID` or `BODY_TOO_LARGE`; the messages are the sentences that PostHog's clients know. */
export async function decodePayload(
  request: PayloadRequest,
  limits: DecodeLimits,
  options: { unwrapsTwice?: boolean } = {},
): Promise<Payload> {
  const unpacked = await unpackPayload(request, limits)
  const { query, compression } = unpacked
  return { text: textOf(unpacked, options), query, compression }
}

/** Everything but the step from bytes to text. Fails as `decodePayload` does. */
export async function unpackPayload(request: PayloadRequest, limits: DecodeLimits): Promise<Unpacked> {
  const query = request.queryText === '' ? undefined : new URLSearchParams(request.queryText)
  const asked = query?.get('data') ?? ''
  let payload = asked === '' ? request.body : Buffer.from(asked)
  if (payload.length === 0) throw invalid('request missing data payload')
  const isForm = request.headers['content-type'] === formType
  const given = payload
  if (isForm || isBase64Start(payload)) payload = unwrapBase64(payload)
  let hint = compressionOf(query?.get('compression'))
  if (isForm) {
    const form = readForm(payload)
    hint ??= form.compression
    payload = form.data ?? payload
  }
  hint ??= compressionOf(headerText(request.headers['content-encoding']))
  if (hint === 'base64') payload = unwrapBase64(payload)
  // lz-string's own text is base64 too, and has just been mistaken for a wrapping.
  const packed = hint === 'lz64' && !isForm ? given : payload
  const isGzip = isGzipped(packed, hint)
  const content = await unpack(packed, isGzip ? 'gzip' : hint, limits)
  const compression = isGzip ? 'gzip' : hint === 'lz64' ? hint : packed === given ? 'none' : 'base64'
  return { content, query, compression }
}

/** The JSON text of what was unpacked. Fails with `EVENT_INVALID`. */
export function textOf({ content, compression }: Unpacked, options: { unwrapsTwice?: boolean } = {}): string {
  const reason = compression === 'gzip' ? 'invalid gzip data' : 'invalid UTF8 in request payload'
  let text = typeof content === 'string' ? content : utf8Text(content, reason)
  if (options.unwrapsTwice === true) text = unwrapText(text)
  return loneSurrogate.test(text) ? repairSurrogates(text) : text
}

/** JSON values: a parse error is the client's, with the parser's sentence and no part of the data. */
export function parsePayload(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const place = cause instanceof Error ? /at position \d+/.exec(cause.message)?.[0] : undefined
    throw new RowmillError(
      'EVENT_INVALID',
      `failed to parse request: invalid JSON${place ? ` ${place}` : ''}`,
      {
        cause,
      },
    )
  }
}

function isBase64Start(payload: Buffer): boolean {
  const first = payload[0] ?? 0
  return payload.length % 4 === 0 && first !== 0x7b && first !== 0x5b
}

function unwrapBase64(payload: Buffer): Buffer {
  const prefix = payload.toString('latin1', 0, prefixLength)
  if (formStart.test(prefix) || payload.length % 4 !== 0 || !strictBase64.test(prefix)) return payload
  return decodeBase64(payload.toString('latin1')) ?? payload
}

function unwrapText(text: string): string {
  if (text.length % 4 !== 0 || !strictBase64.test(text.slice(0, prefixLength))) return text
  const decoded = decodeBase64(text)
  return decoded !== undefined && isUtf8(decoded) ? decoded.toString('utf8') : text
}

function decodeBase64(text: string): Buffer | undefined {
  return wholeBase64.test(text) ? Buffer.from(text, 'base64') : undefined
}

function readForm(payload: Buffer): { data: Buffer | undefined; compression: Compression } {
  if (!formStart.test(payload.toString('latin1', 0, prefixLength)))
    throw invalid('failed to decode request: expected form data in POST request payload')
  const form = new URLSearchParams(payload.toString('utf8'))
  const data = form.get('data')
  const isBase64 = data !== null && data.length % 4 === 0 && looseBase64.test(data.slice(0, prefixLength))
  const whole = isBase64 ? data.replaceAll(' ', '+') : data
  return {
    data: whole === null ? undefined : Buffer.from(whole),
    compression: compressionOf(form.get('compression')),
  }
}

function compressionOf(text: string | null | undefined): Compression {
  switch (text?.toLowerCase()) {
    case 'gzip':
    case 'gzip-js':
      return 'gzip'
    case 'lz64':
    case 'lz-string':
      return 'lz64'
    case 'base64':
    case 'b64':
      return 'base64'
    default:
      return undefined
  }
}

function isGzipped(payload: Buffer, hint: Compression): boolean {
  return hint === 'gzip' || (payload[0] === 0x1f && payload[1] === 0x8b && payload[2] === 8)
}

async function unpack(payload: Buffer, hint: Compression, limits: DecodeLimits): Promise<Buffer | string> {
  if (hint === 'gzip') {
    const unpacked = await gunzipBounded(payload, limits.payloadBytesMax)
    limits.reserve?.(unpacked.length)
    return unpacked
  }
  if (payload.length > limits.payloadBytesMax) throw tooLarge(limits.payloadBytesMax)
  if (hint !== 'lz64') return payload
  const unpacked = unpackLzString(payload.toString('latin1'), limits.payloadBytesMax)
  if (!unpacked.ok) {
    if (unpacked.reason === 'too-large') throw tooLarge(limits.payloadBytesMax)
    throw invalid('failed to decode request: failed to decompress lz64 payload')
  }
  if (!unpacked.text.isWellFormed()) throw invalid('failed to decode request: invalid UTF-16 in LZ64 payload')
  const bytes = Buffer.byteLength(unpacked.text)
  if (bytes > limits.payloadBytesMax) throw tooLarge(limits.payloadBytesMax)
  limits.reserve?.(bytes)
  return unpacked.text
}

/** Small bodies at once, large ones off the main thread. */
async function gunzipBounded(packed: Buffer, bytesMax: number): Promise<Buffer> {
  const options = { maxOutputLength: bytesMax }
  try {
    if (packed.length <= gunzipSyncBytesMax) return gunzipSync(packed, options)
    return await new Promise((resolve, reject) => {
      gunzip(packed, options, (error, unpacked) => (error === null ? resolve(unpacked) : reject(error)))
    })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(bytesMax)
    throw new RowmillError('EVENT_INVALID', 'failed to decode request: invalid gzip data', { cause })
  }
}

function utf8Text(bytes: Buffer, reason: string): string {
  if (!isUtf8(bytes)) throw invalid(`failed to decode request: ${reason}`)
  return bytes.toString('utf8')
}

/** Escapes of half a character become the escape of U+FFFD: most parsers downstream refuse the whole text otherwise. */
function repairSurrogates(text: string): string {
  return text.replace(
    /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\./gs,
    (found) => (found.length === 6 ? '\\ufffd' : found),
  )
}

function headerText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}

function invalid(message: string): RowmillError {
  return new RowmillError('EVENT_INVALID', message)
}

function tooLarge(bytesMax: number): RowmillError {
  return new RowmillError(
    'BODY_TOO_LARGE',
    `maximum event size exceeded: the payload exceeds the limit of ${bytesMax} bytes`,
  )
}
