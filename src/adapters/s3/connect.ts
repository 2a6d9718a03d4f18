/**
 * From settings to a client of S3. It makes a failed request again by itself, after waits by chance that grow, and
 * mends its own idea of the time when the server says that the clocks differ. Each object carries its MD5, which
 * every server checks when it takes it; newer checksums are not asked for, because not every server has them.
 */
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { type S3Config, s3Contradictions } from './config.ts'

export type S3Connection = AsyncDisposable & {
  client: S3Client
  /** The same, at the address that is given to others. */
  presigning: S3Client
  commands: typeof import('@aws-sdk/client-s3')
}

/** Opens no connection yet. Fails with `CONFIG_INVALID`. */
export async function createS3Connection(config: S3Config): Promise<S3Connection> {
  const contradictions = s3Contradictions(config)
  if (contradictions.length > 0) throw new RowmillError('CONFIG_INVALID', contradictions.join(' '))
  // Loaded here, so that a start without S3 does not pay for it.
  const commands = await import('@aws-sdk/client-s3')
  const ca = readAuthority(config.tlsCaFile)
  const agents = { keepAlive: true, maxSockets: config.requestsMax }
  const options: S3ClientConfig = {
    region: config.region,
    forcePathStyle: config.isPathStyle ?? config.endpoint !== undefined,
    maxAttempts: config.attemptsMax,
    retryMode: 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: config.connectTimeoutMs,
      requestTimeout: config.requestTimeoutMs,
      socketTimeout: config.requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent(agents),
      httpsAgent: new HttpsAgent({ ...agents, ...(ca === undefined ? {} : { ca }) }),
    },
    ...credentialsOf(config),
  }
  const at = (endpoint: string | undefined) =>
    new commands.S3Client({ ...options, ...(endpoint === undefined ? {} : { endpoint }) })
  const client = at(config.endpoint)
  const presigning = config.publicEndpoint === undefined ? client : at(config.publicEndpoint)
  return {
    client,
    presigning,
    commands,
    async [Symbol.asyncDispose]() {
      client.destroy()
      presigning.destroy()
    },
  }
}

function credentialsOf(config: S3Config): Pick<S3ClientConfig, 'credentials'> {
  const { accessKeyId, secretAccessKey, sessionToken } = config
  if (accessKeyId === undefined || secretAccessKey === undefined) return {}
  return {
    credentials: {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
    },
  }
}

function readAuthority(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new RowmillError(
      'CONFIG_INVALID',
      `s3.tlsCaFile (OBJECT_STORAGE_CA_FILE) names ${path}, which could not be read.`,
      { cause },
    )
  }
}
