/**
 * A server that speaks as much of S3 as Rowmill's adapter uses: objects, uploads in parts, listings, addresses that
 * were signed before. It checks signatures, MD5s and the sizes of parts as S3 does, and refuses by S3's codes. What
 * a test wants to go wrong it says by `faults`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { type Bucket, beginUpload, completeUpload, listKeys, md5, storedObject } from './buckets.ts'
import { type Credentials, type Refusal, refusalOf } from './signature.ts'

export type Faults = {
  /** Answers this instead of what was asked; undefined lets the request through. */
  refuse?: ((request: { method: string; target: string }) => Refusal | undefined) | undefined
  /** Holds every answer until it resolves. */
  hold?: Promise<void> | undefined
  /** Cuts bodies of objects in half. */
  isCut?: boolean
  /** Changes one byte of objects that are read. */
  isDamaged?: boolean
  /** Does what was asked and closes the connection without an answer. */
  isMute?: boolean
  /** How far its clock is ahead. */
  clockAheadMs?: number
}

export type S3ServerOptions = {
  credentials: Credentials
  buckets: Map<string, Bucket>
  faults: Faults
  tls?: { cert: Buffer; key: Buffer }
}

export function createS3Server(options: S3ServerOptions) {
  const sockets = new Set<Socket>()
  const requests: string[] = []
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(`${request.method} ${request.url}`)
    answer(options, request, response).catch(() => response.destroy())
  }
  const server =
    options.tls === undefined ? createServer(listener) : createSecureServer(options.tls, listener)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  return {
    server,
    requests,
    listen: (port: number) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, '127.0.0.1', resolve)
      }),
    async close(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

type Asked = {
  method: string
  target: string
  bucketName: string
  key: string
  query: URLSearchParams
  headers: Record<string, string | undefined>
  body: Buffer
}
type Answer = { status: number; headers?: Record<string, string>; body?: Buffer | string }

async function answer(
  options: S3ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = await readRequest(request, options.buckets)
  const { faults } = options
  await faults.hold
  const refusal =
    faults.refuse?.(asked) ??
    refusalOf(asked, options.credentials, Date.now() + (faults.clockAheadMs ?? 0)) ??
    badDigest(asked)
  const made = refusal === undefined ? perform(options.buckets, asked) : refused(refusal)
  if (faults.isMute === true) {
    response.destroy()
    return
  }
  const whole = Buffer.from(made.body ?? '')
  const isObject = asked.method === 'GET' && asked.key !== '' && made.status === 200
  const body = Buffer.from(whole)
  if (isObject && faults.isDamaged === true && body.length > 0) body[0] = (body[0] ?? 0) ^ 1
  response.writeHead(made.status, {
    date: new Date(Date.now() + (faults.clockAheadMs ?? 0)).toUTCString(),
    'content-length': whole.length,
    ...made.headers,
  })
  if (isObject && faults.isCut === true)
    response.write(body.subarray(0, body.length >> 1), () => response.destroy())
  else response.end(asked.method === 'HEAD' ? undefined : body)
}

async function readRequest(request: IncomingMessage, buckets: Map<string, Bucket>): Promise<Asked> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  const target = request.url ?? '/'
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : value,
    ]),
  )
  const url = new URL(target, 'http://any')
  const path = decodeURIComponent(url.pathname).slice(1)
  // A bucket stands in the host name where its first label is one, else first in the path.
  const [label = ''] = (headers.host ?? '').split('.')
  const isVirtual = buckets.has(label)
  const at = path.indexOf('/')
  return {
    method: request.method ?? 'GET',
    target,
    headers,
    query: url.searchParams,
    body: Buffer.concat(chunks),
    bucketName: isVirtual ? label : at === -1 ? path : path.slice(0, at),
    key: isVirtual ? path : at === -1 ? '' : path.slice(at + 1),
  }
}

function badDigest({ headers, body }: Asked): Refusal | undefined {
  const given = headers['content-md5']
  const isBad = given !== undefined && given !== md5(body).toString('base64')
  return isBad ? { code: 'BadDigest', status: 400 } : undefined
}

function perform(buckets: Map<string, Bucket>, asked: Asked): Answer {
  const bucket = buckets.get(asked.bucketName)
  if (bucket === undefined) return refused({ code: 'NoSuchBucket', status: 404 })
  const { method, key, query } = asked
  if (key === '')
    return method === 'GET' ? list(bucket, asked) : refused({ code: 'MethodNotAllowed', status: 405 })
  if (method === 'POST' || query.has('uploadId')) return performUpload(bucket, asked)
  if (method === 'PUT') {
    const object = storedObject(asked.body, metadataOf(asked))
    bucket.objects.set(key, object)
    return { status: 200, headers: { etag: object.etag } }
  }
  if (method === 'DELETE') {
    bucket.objects.delete(key)
    return { status: 204 }
  }
  const object = bucket.objects.get(key)
  if (object === undefined) return refused({ code: 'NoSuchKey', status: 404 })
  const metadata = Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value])
  return {
    status: 200,
    headers: {
      etag: object.etag,
      'content-type': 'application/octet-stream',
      ...Object.fromEntries(metadata),
    },
    body: object.bytes,
  }
}

function performUpload(bucket: Bucket, asked: Asked): Answer {
  const { method, key, query, body } = asked
  if (method === 'POST' && query.has('uploads')) {
    const id = beginUpload(bucket, key, metadataOf(asked))
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
  }
  const id = query.get('uploadId') ?? ''
  const upload = bucket.uploads.get(id)
  if (upload === undefined || upload.key !== key) return refused({ code: 'NoSuchUpload', status: 404 })
  if (method === 'PUT') {
    const part = storedObject(body, {})
    upload.parts.set(Number(query.get('partNumber')), part)
    return { status: 200, headers: { etag: part.etag } }
  }
  if (method === 'DELETE') {
    bucket.uploads.delete(id)
    return { status: 204 }
  }
  const parts = [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, text = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(text)?.[1]),
    etag: (/<ETag>(.*?)</.exec(text)?.[1] ?? '').replaceAll('&quot;', '"'),
  }))
  const made = completeUpload(bucket, id, parts)
  if (typeof made === 'string') return refused({ code: made, status: 400 })
  return xml(
    `<CompleteMultipartUploadResult><ETag>${escapeXml(made.etag)}</ETag></CompleteMultipartUploadResult>`,
  )
}

function list(bucket: Bucket, { query }: Asked): Answer {
  const prefix = query.get('prefix') ?? ''
  const token = query.get('continuation-token')
  const after = token === null ? '' : Buffer.from(token, 'base64url').toString()
  const { keys, next } = listKeys(bucket, {
    prefix,
    after,
    max: Math.min(1000, Number(query.get('max-keys') ?? 1000)),
  })
  const items = keys.map(
    (key) =>
      `<Contents><Key>${escapeXml(key)}</Key><Size>${bucket.objects.get(key)?.bytes.length}</Size></Contents>`,
  )
  const more =
    next === undefined
      ? ''
      : `<NextContinuationToken>${Buffer.from(next).toString('base64url')}</NextContinuationToken>`
  return xml(
    `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${items.join('')}${more}</ListBucketResult>`,
  )
}

function metadataOf({ headers }: Asked): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))
  return Object.fromEntries(own.map(([name, value]) => [name.slice('x-amz-meta-'.length), value ?? '']))
}

function xml(text: string): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${text}`,
  }
}

function refused({ code, status, message = code, extra = {} }: Refusal): Answer {
  const more = Object.entries(extra).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`)
  const text = `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message>${more.join('')}</Error>`
  return { ...xml(text), status }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
