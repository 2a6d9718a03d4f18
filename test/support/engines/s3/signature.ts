/**
 * Checks AWS's signature, version 4, as its documentation describes it: in the header `Authorization`, or in the
 * query of an address that was signed before. The examples of that documentation are in `signature.test.ts`.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export type SignedRequest = {
  method: string
  /** As it came: percent-encoded path and query. */
  target: string
  headers: Readonly<Record<string, string | undefined>>
  body: Buffer
}
export type Credentials = { accessKeyId: string; secretAccessKey: string; region: string }
/** Why S3 refuses a request: its code, and its HTTP status. */
export type Refusal = { code: string; status: number; message?: string; extra?: Record<string, string> }

const skewMsMax = 15 * 60_000

/** Undefined when the signature holds. */
export function refusalOf(
  request: SignedRequest,
  credentials: Credentials,
  nowMs: number,
): Refusal | undefined {
  const url = new URL(request.target, 'http://any')
  const given = url.searchParams.has('X-Amz-Signature') ? fromQuery(url) : fromHeader(request.headers)
  if (given === undefined) return { code: 'AccessDenied', status: 403 }
  const [keyId, date = '', region = '', service, end] = given.credential.split('/')
  if (service !== 's3' || end !== 'aws4_request') return { code: 'AuthorizationHeaderMalformed', status: 400 }
  if (keyId !== credentials.accessKeyId) return { code: 'InvalidAccessKeyId', status: 403 }
  if (region !== credentials.region)
    return {
      code: 'AuthorizationHeaderMalformed',
      status: 400,
      message: `The authorization header is malformed; the region '${region}' is wrong; expecting '${credentials.region}'`,
      extra: { Region: credentials.region },
    }
  const signedAtMs = parseTime(given.time)
  if (given.expiresSeconds === undefined && Math.abs(nowMs - signedAtMs) > skewMsMax)
    return { code: 'RequestTimeTooSkewed', status: 403 }
  if (given.expiresSeconds !== undefined && nowMs > signedAtMs + given.expiresSeconds * 1000)
    return { code: 'AccessDenied', status: 403, message: 'Request has expired' }
  if (!date.startsWith(given.time.slice(0, 8))) return { code: 'SignatureDoesNotMatch', status: 403 }
  if (given.bodyHash !== 'UNSIGNED-PAYLOAD' && given.bodyHash !== sha256(request.body))
    return { code: 'XAmzContentSHA256Mismatch', status: 400 }
  const expected = signatureOf(request, given, { ...credentials, date })
  return isSame(expected, given.signature) ? undefined : { code: 'SignatureDoesNotMatch', status: 403 }
}

type Given = {
  credential: string
  signedHeaders: string
  signature: string
  time: string
  bodyHash: string
  expiresSeconds?: number
}

function fromHeader(headers: SignedRequest['headers']): Given | undefined {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    )
  const [, credential, signedHeaders, signature] = found ?? []
  const time = headers['x-amz-date']
  const bodyHash = headers['x-amz-content-sha256']
  if (credential === undefined || signedHeaders === undefined || signature === undefined) return undefined
  if (time === undefined || bodyHash === undefined) return undefined
  return { credential, signedHeaders, signature, time, bodyHash }
}

function fromQuery({ searchParams }: URL): Given | undefined {
  const get = (name: string) => searchParams.get(`X-Amz-${name}`) ?? ''
  if (get('Algorithm') !== 'AWS4-HMAC-SHA256') return undefined
  return {
    credential: get('Credential'),
    signedHeaders: get('SignedHeaders'),
    signature: get('Signature'),
    time: get('Date'),
    bodyHash: 'UNSIGNED-PAYLOAD',
    expiresSeconds: Number(get('Expires')),
  }
}

/** The signature that a request must have. */
export function signatureOf(
  request: Omit<SignedRequest, 'body'>,
  given: Pick<Given, 'signedHeaders' | 'time' | 'bodyHash'>,
  credentials: Credentials & { date: string },
): string {
  const [path = '', query = ''] = request.target.split('?')
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '' && !pair.startsWith('X-Amz-Signature='))
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
  const names = given.signedHeaders.split(';')
  const canonical = [
    request.method,
    path,
    pairs.sort().join('&'),
    ...names.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    given.signedHeaders,
    given.bodyHash,
  ].join('\n')
  const { date, region, secretAccessKey } = credentials
  const scope = `${date}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', given.time, scope, sha256(Buffer.from(canonical))].join('\n')
  const key = [date, region, 's3', 'aws4_request'].reduce<Buffer | string>(
    (secret, part) => hmac(secret, part),
    `AWS4${secretAccessKey}`,
  )
  return hmac(key, text).toString('hex')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** `20130524T000000Z`. */
function parseTime(time: string): number {
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}
