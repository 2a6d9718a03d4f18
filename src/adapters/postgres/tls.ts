/**
 * TLS as libpq means it: `require` encrypts without asking who answers (and asks, where an authority is
 * given), `verify-ca` asks who signed, `verify-full` also asks for the name. `allow` and `prefer` take TLS
 * where the server has it. Without a word, an authority means `verify-full`, and none means no TLS.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { type DatabaseConfig, type SslMode, sslModes } from './config.ts'

type Target = { setting: string; host: string; port: number; parameters: URLSearchParams }

/** `false` is no TLS. Fails with `CONFIG_INVALID`. */
export async function resolveTls(config: DatabaseConfig, target: Target): Promise<false | ConnectionOptions> {
  const { host, parameters, setting } = target
  const root = parameters.get('sslrootcert') ?? config.sslRootCert
  const mode = modeOf(config, target, root !== undefined)
  if (mode === 'disable') return false
  const isAsked = mode === 'allow' || mode === 'prefer'
  if (isAsked && !(await hasTls(target, config.connectTimeoutMs))) return false
  const cert = parameters.get('sslcert') ?? config.sslCert
  const key = parameters.get('sslkey') ?? config.sslKey?.reveal()
  if ((cert === undefined) !== (key === undefined))
    throw new RowmillError(
      'CONFIG_INVALID',
      `${setting}: a client's certificate needs its key; set sslcert and sslkey, or neither.`,
    )
  const isVerified = mode.startsWith('verify') || (mode === 'require' && root !== undefined)
  return {
    // Without the name the library would check the certificate of an address against "localhost".
    ...(isIP(host) === 0 ? {} : { host }),
    rejectUnauthorized: isVerified,
    ...(root === undefined || root === 'system' ? {} : { ca: await pem(root, `${setting}: sslrootcert`) }),
    ...(cert === undefined ? {} : { cert: await pem(cert, `${setting}: sslcert`) }),
    ...(key === undefined ? {} : { key: await pem(key, `${setting}: sslkey`) }),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  }
}

function modeOf(config: DatabaseConfig, { parameters, setting }: Target, hasRoot: boolean): SslMode {
  const given = parameters.get('sslmode')
  if (given === null) {
    const isOn = /^(1|true)$/.test(parameters.get('ssl') ?? '')
    return config.sslMode ?? (hasRoot ? 'verify-full' : isOn ? 'require' : 'disable')
  }
  // A word of the library's own, which has long been in use.
  if (given === 'no-verify') return 'require'
  const found = sslModes.find((mode) => mode === given)
  if (found !== undefined) return found
  throw new RowmillError(
    'CONFIG_INVALID',
    `${setting} has sslmode=${given}; say one of ${sslModes.join(', ')}.`,
  )
}

/** PEM text, or what the file says. */
async function pem(value: string, what: string): Promise<string> {
  if (value.includes('-----BEGIN ')) return value.replaceAll('\\n', '\n')
  try {
    const text = await readFile(value, 'utf8')
    if (text.includes('-----BEGIN ')) return text
  } catch (cause) {
    throw new RowmillError(
      'CONFIG_INVALID',
      `${what} names a file that cannot be read; give a readable PEM file, or the PEM text itself.`,
      { cause },
    )
  }
  throw new RowmillError('CONFIG_INVALID', `${what} is no PEM file; it must hold a line -----BEGIN ….`)
}

/** PostgreSQL's SSLRequest: its length and a number that is no version; the answer is S or N. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** `false` also where nobody answers: whoever connects then says why. */
async function hasTls({ host, port }: Target, timeoutMs: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    await once(socket, 'connect', { signal })
    socket.write(sslRequest)
    const [answer] = await once(socket, 'data', { signal })
    return Buffer.isBuffer(answer) && answer[0] === 0x53
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
