/** One request and its answer with one destination, bounded in bytes. Redirects are the caller's. */
import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createInflate, createUnzip } from 'node:zlib'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { AddressPolicy } from './addresses.ts'
import type { OutboundConfig } from './config.ts'
import { type Destination, refusal } from './destination.ts'

export type ExchangeRequest = {
  method: string
  headers: readonly (readonly [string, string])[]
  body: Buffer | undefined
}
export type ExchangeAnswer = {
  status: number
  statusText: string
  headers: [string, string][]
  /** Unpacked. */
  body: Buffer
}

export type ExchangeOptions = {
  config: OutboundConfig
  policy: AddressPolicy
  agents: { http: http.Agent; https: https.Agent }
  signal: AbortSignal
}

/** Set by the client alone: they decide where a message ends and who is asked. */
const ownHeaders = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Throws `OUTBOUND_REFUSED`, `OUTBOUND_TOO_LARGE`, and what the connection fails with. */
export async function exchange(
  { url, addresses }: Destination,
  request: ExchangeRequest,
  options: ExchangeOptions,
): Promise<ExchangeAnswer> {
  const { config, agents, signal } = options
  const send = url.protocol === 'https:' ? https.request : http.request
  const agent = url.protocol === 'https:' ? agents.https : agents.http
  let outgoing: http.ClientRequest
  try {
    outgoing = send(url, {
      method: request.method,
      headers: headersOf(request),
      agent,
      lookup: lookupAmong(addresses),
      maxHeaderSize: config.headerBytesMax,
      setDefaultHeaders: true,
      signal,
    })
  } catch (cause) {
    throw refusal(
      'The method, path or a header of an outbound request has characters that it may not have.',
      cause,
    )
  }
  outgoing.on('socket', (socket) => {
    // The last look: what is connected is what was checked.
    const look = () => {
      const { remoteAddress } = socket
      if (remoteAddress !== undefined && !options.policy.isAllowed(remoteAddress))
        outgoing.destroy(refusal('An outbound request was led to an address that it may not go to.'))
    }
    if (socket.connecting) socket.once('connect', look)
    else look()
  })
  const incoming = await new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.once('upgrade', (_message, socket) => {
      socket.destroy()
      reject(refusal('An outbound request may not change its protocol.'))
    })
    outgoing.end(request.body)
  })
  try {
    return await readAnswer(incoming, { config, isHead: request.method === 'HEAD', signal })
  } finally {
    if (!incoming.complete) outgoing.destroy()
  }
}

function headersOf({ headers, body, method }: ExchangeRequest): Record<string, string[]> {
  const result: Record<string, string[]> = Object.create(null)
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (ownHeaders.has(key) || key.startsWith('proxy-')) continue
    result[key] ??= []
    result[key].push(value)
  }
  result['accept-encoding'] = ['gzip, deflate, br']
  result['user-agent'] ??= ['Rowmill']
  result.accept ??= ['*/*']
  if (body !== undefined || ['POST', 'PUT', 'PATCH'].includes(method))
    result['content-length'] = [String(body?.length ?? 0)]
  return result
}

/** Answers the addresses that were checked, whatever is asked for. */
function lookupAmong(addresses: Destination['addresses']): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses
    if (first === undefined) callback(new Error('There is no address.'), '', 4)
    else if (all === true) callback(null, [...addresses])
    else callback(null, first.address, first.family)
  }
}

async function readAnswer(
  incoming: http.IncomingMessage,
  { config, isHead, signal }: { config: OutboundConfig; isHead: boolean; signal: AbortSignal },
): Promise<ExchangeAnswer> {
  const { statusCode = 0, statusMessage = '', rawHeaders } = incoming
  const headers: [string, string][] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    headers.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? ''])
  const isEmpty = isHead || statusCode === 204 || statusCode === 304
  const encoding = isEmpty ? '' : (incoming.headers['content-encoding'] ?? '').trim().toLowerCase()
  const chunks: Buffer[] = []
  let bytes = 0
  const collect = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > config.answerBytesMax)
        throw new RowmillError(
          'OUTBOUND_TOO_LARGE',
          `The answer to an outbound request is larger than ${config.answerBytesMax} bytes.`,
        )
      chunks.push(chunk)
    }
  }
  const unpack = unpackerOf(encoding)
  if (unpack === undefined) await pipeline(incoming, collect, { signal })
  else await pipeline(incoming, unpack, collect, { signal })
  const unpacked = new Set(unpack === undefined ? [] : ['content-encoding', 'content-length'])
  return {
    status: statusCode,
    statusText: statusMessage,
    headers: headers.filter(([name]) => !unpacked.has(name)),
    body: Buffer.concat(chunks),
  }
}

function unpackerOf(encoding: string) {
  if (encoding === 'gzip' || encoding === 'x-gzip') return createUnzip()
  if (encoding === 'deflate') return createInflate()
  if (encoding === 'br') return createBrotliDecompress()
  return undefined
}
