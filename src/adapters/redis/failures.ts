/**
 * What Redis, or the way to it, said: as the operating error of an operation, and at the start as a sentence
 * that names the setting. Messages of Redis do not hold values of keys; they are kept as the cause.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'

/** A failure of an operation. What is no failure of Redis or of the way to it is a bug, and comes back as it is. */
export function failureOf(error: unknown): unknown {
  if (error instanceof RowmillError || !(error instanceof Error)) return error
  if (error instanceof TypeError || error instanceof RangeError) return error
  const said = error.message
  if (/\bWRONGTYPE\b/.test(said))
    return new RowmillError(
      'CACHE_WRONG_KIND',
      'A cache key holds another kind of value than was asked for.',
      {
        cause: error,
      },
    )
  if (/not an integer or out of range|would overflow/.test(said))
    return new RowmillError(
      'CACHE_WRONG_KIND',
      'A cache key does not hold an integer within the safe range.',
      { cause: error },
    )
  return new RowmillError('CACHE_UNAVAILABLE', `Redis could not be asked: ${reasonOf(said)}.`, {
    cause: error,
  })
}

const reasons: readonly [RegExp, string][] = [
  [/^OOM /, 'it has no memory left (maxmemory)'],
  [/^READONLY /, 'it is a replica now and takes no writes'],
  [/^LOADING /, 'it is reading its data after a start'],
  [/^CLUSTERDOWN /, 'its cluster is down'],
  [/^MISCONF /, 'it cannot write to its disk and refuses writes'],
  [/^(NOAUTH|WRONGPASS)\b/, 'it refuses the user or the password'],
  [/^NOPERM /, 'the user may not do this'],
  [/^(MOVED|ASK|CROSSSLOT) /, 'it is a cluster, and redis.isCluster is false'],
  [/timed out|Socket timeout/, 'it did not answer in time'],
]

function reasonOf(said: string): string {
  return reasons.find(([pattern]) => pattern.test(said))?.[1] ?? 'there is no connection'
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

type Place = { host: string; isTls: boolean }

/** Why the config cannot work with what answered there, and what to set; undefined where waiting may help. */
export function misconfigurationOf(error: Error, { host, isTls }: Place): string | undefined {
  const said = error.message
  const code = codeOf(error)
  const sentences: [boolean, string][] = [
    [
      /^NOAUTH|HELLO must be called with the client already authenticated/.test(said),
      `Redis at ${host} asks for a password; set it in redis.url or redis.password (REDIS_PASSWORD).`,
    ],
    [
      /^WRONGPASS|invalid password|invalid username-password/.test(said),
      `Redis at ${host} refuses the user or the password; mend redis.url (REDIS_URL), or redis.username and redis.password.`,
    ],
    [
      /without any password configured|no password is set/.test(said),
      `Redis at ${host} has no password; remove it from redis.url or redis.password.`,
    ],
    [
      /DB index is out of range|SELECT is not allowed/.test(said),
      `Redis at ${host} has no database of the number at the end of redis.url; use one below its setting "databases".`,
    ],
    [
      /cluster support disabled/.test(said),
      `Redis at ${host} is no cluster, but redis.isCluster (REDIS_CLUSTER) is true; set it to false.`,
    ],
    [
      isTls &&
        (/wrong version number|packet length too long/.test(said) || code === 'ERR_SSL_WRONG_VERSION_NUMBER'),
      `Redis at ${host} does not speak TLS, but redis.url begins with rediss://; let it begin with redis://, or name the port for TLS.`,
    ],
    [
      /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/.test(code),
      `No known authority has signed the certificate of Redis at ${host}; name its authority in redis.tlsCaFile (REDIS_TLS_CA_FILE).`,
    ],
    [
      code === 'ERR_TLS_CERT_ALTNAME_INVALID',
      `The certificate of Redis is not for ${host}; use the name that it is for in redis.url (REDIS_URL).`,
    ],
    [
      /CERT_(HAS_EXPIRED|NOT_YET_VALID)/.test(code),
      `The certificate of Redis at ${host} is not valid at this time; renew it, or set the clocks right.`,
    ],
    [
      /certificate required|bad certificate|handshake failure|unknown ca/.test(said),
      `Redis at ${host} asks for a certificate that it knows; set redis.tlsCertFile and redis.tlsKeyFile.`,
    ],
  ]
  return sentences.find(([isIt]) => isIt)?.[1]
}

/** Why nobody answered, for the end of a sentence. */
export function absenceOf(error: Error | undefined, isTls: boolean): string {
  const code = codeOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'nobody knows that host name'
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (/^LOADING/.test(error?.message ?? '')) return 'it is still reading its data'
  if (/timed? ?out|ETIMEDOUT/i.test(`${code} ${error?.message}`))
    return isTls
      ? 'it does not answer; if it speaks no TLS, let redis.url begin with redis://'
      : 'it does not answer'
  return isTls
    ? 'it ends the connection; if it asks for a certificate, set redis.tlsCertFile and redis.tlsKeyFile'
    : 'it ends the connection; if it speaks TLS, let redis.url begin with rediss://'
}
