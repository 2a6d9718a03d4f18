/**
 * What S3, or the way to it, said, as an operating error whose sentence names the bucket and what to set. What may
 * pass is `BLOBS_UNAVAILABLE`; what stays until somebody changes something is `BLOBS_REFUSED`. Servers other
 * than AWS differ in words and agree in codes, so only codes are looked at, and the bodies of answers are not kept.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { S3Config } from './config.ts'

export type Place = Pick<S3Config, 'bucket' | 'endpoint' | 'region'> & { names: SettingNames }

/** How the operator calls the settings of this store. */
export type SettingNames = { bucket: string; endpoint: string }
export const settingNames: SettingNames = {
  bucket: 's3.bucket (OBJECT_STORAGE_BUCKET)',
  endpoint: 's3.endpoint (OBJECT_STORAGE_ENDPOINT)',
}

/** `what` was being done: `written`, `read`, `deleted`, `listed`. */
export function failureOf(error: unknown, what: string, place: Place): unknown {
  if (error instanceof RowmillError || !(error instanceof Error)) return error
  const reason = refusalOf(error, place)
  const where = `in the bucket ${place.bucket}`
  const details = { code: error.name, ...statusOf(error) }
  if (reason !== undefined)
    return new RowmillError('BLOBS_REFUSED', `A blob could not be ${what} ${where}: ${reason}`, {
      cause: causeOf(error),
      details,
    })
  if (isBug(error)) return error
  return new RowmillError(
    'BLOBS_UNAVAILABLE',
    `A blob could not be ${what} ${where}: ${absenceOf(error, place)}.`,
    {
      cause: causeOf(error),
      details,
    },
  )
}

/** The library's own errors carry the request and the answer; only what they are called and say is kept. */
function causeOf(error: Error): Error {
  const cause = new Error(error.message.slice(0, 300))
  cause.name = error.name
  return cause
}

function isBug(error: Error): boolean {
  return (error instanceof TypeError || error instanceof RangeError) && !('$metadata' in error)
}

/** The HTTP status of the answer, where there was one. */
export function statusOf(error: unknown): { status?: number } {
  if (!(error instanceof Error) || !('$metadata' in error)) return {}
  const { $metadata: metadata } = error
  if (metadata === null || typeof metadata !== 'object' || !('httpStatusCode' in metadata)) return {}
  return typeof metadata.httpStatusCode === 'number' ? { status: metadata.httpStatusCode } : {}
}

function refusalOf(error: Error, place: Place): string | undefined {
  const { bucket, region, names } = place
  const at = place.endpoint ?? 'AWS'
  const { status } = statusOf(error)
  const code = 'code' in error ? String(error.code) : ''
  const sentences: [boolean, string][] = [
    [
      error.name === 'NoSuchBucket',
      `${at} has no such bucket; create it, or name another in ${names.bucket}.`,
    ],
    [
      error.name === 'SignatureDoesNotMatch',
      `${at} refuses the signature; mend s3.secretAccessKey (OBJECT_STORAGE_SECRET_ACCESS_KEY), and let no proxy change the host or the path of requests.`,
    ],
    [
      error.name === 'InvalidAccessKeyId',
      `${at} does not know the access key; mend s3.accessKeyId (OBJECT_STORAGE_ACCESS_KEY_ID).`,
    ],
    [
      error.name === 'RequestTimeTooSkewed',
      `the clocks of this machine and of ${at} differ by more than 15 minutes; set them right.`,
    ],
    [
      ['ExpiredToken', 'InvalidToken', 'TokenRefreshRequired'].includes(error.name),
      'the token of the access key is not valid (any more); renew s3.sessionToken (AWS_SESSION_TOKEN), or use the credentials of the machine.',
    ],
    [
      error.name === 'CredentialsProviderError',
      'there are no credentials; set s3.accessKeyId and s3.secretAccessKey (OBJECT_STORAGE_ACCESS_KEY_ID, OBJECT_STORAGE_SECRET_ACCESS_KEY), or give this machine a role.',
    ],
    [
      ['AccessDenied', 'AllAccessDisabled', 'Forbidden'].includes(error.name) || status === 403,
      `${at} denies it; allow this access key s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the objects and s3:ListBucket on the bucket.`,
    ],
    [
      [
        'PermanentRedirect',
        'AuthorizationHeaderMalformed',
        'IllegalLocationConstraintException',
        'TemporaryRedirect',
      ].includes(error.name) || status === 301,
      `the bucket is not in the region ${region}; set s3.region (OBJECT_STORAGE_REGION) to ${regionIn(error) ?? 'the one it is in'}.`,
    ],
    [
      code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER',
      `${at} does not speak TLS; let ${names.endpoint} begin with http://, or name the port for TLS.`,
    ],
    [
      /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/.test(code),
      `no known authority has signed the certificate of ${at}; name its authority in s3.tlsCaFile (OBJECT_STORAGE_CA_FILE).`,
    ],
    [
      code === 'ERR_TLS_CERT_ALTNAME_INVALID',
      `the certificate is not for ${bucket} at ${at}; set s3.isPathStyle (OBJECT_STORAGE_FORCE_PATH_STYLE) to true, or use the name that it is for in ${names.endpoint}.`,
    ],
    [
      /CERT_(HAS_EXPIRED|NOT_YET_VALID)/.test(code),
      `the certificate of ${at} is not valid at this time; renew it, or set the clocks right.`,
    ],
    [
      isNoS3(error, status),
      `${at} does not answer as S3 does; mend ${names.endpoint}: the scheme, the host and the port of its API.`,
    ],
  ]
  return sentences.find(([isIt]) => isIt)?.[1]
}

/** A web page, a console, another service: there is an answer, and it has no code of S3. */
function isNoS3(error: Error, status: number | undefined): boolean {
  if (/Deserialization error|is not expected\.|Unclosed tag|char '/.test(error.message)) return true
  const isUnnamed = ['UnknownError', 'Unknown', 'Error', 'S3ServiceException', '404', '405', '400'].includes(
    error.name,
  )
  return isUnnamed && status !== undefined && status >= 300 && status < 500
}

function regionIn(error: Error): string | undefined {
  const said = 'Region' in error ? String(error.Region) : /expecting '([a-z0-9-]+)'/.exec(error.message)?.[1]
  return said === undefined || !/^[a-z0-9-]{1,64}$/.test(said) ? undefined : said
}

function absenceOf(error: Error, { endpoint, bucket, names }: Place): string {
  const at = endpoint ?? 'AWS'
  const code = 'code' in error ? String(error.code) : ''
  const { status } = statusOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return endpoint === undefined
      ? 'nobody knows the host name of S3 in the region; mend s3.region, or the DNS of this machine'
      : `nobody knows the host name; mend ${names.endpoint}, or set s3.isPathStyle to true if ${bucket} is not to stand in front of it`
  if (code === 'ECONNREFUSED') return `nothing listens at ${at}; mend ${names.endpoint}, or start it`
  if (error.name === 'TimeoutError' || error.name === 'AbortError' || /ETIMEDOUT/.test(code))
    return `${at} did not answer in time`
  if (error.name === 'SlowDown' || status === 503) return `${at} asks to be asked less often`
  return status === undefined ? `the connection to ${at} failed` : `${at} answered ${status} ${error.name}`
}
