/**
 * The Blobs port on S3. An object is one object of the bucket, under `keyPrefix` and its key. Keys of the bucket
 * that are no keys of blobs are not seen.
 *
 * `delete` asks first whether there is something, because S3 does not tell: two that delete at the same time may
 * both hear yes. Every operation has a bound in time, and the requests of this process have one in number.
 */
import { addAbortSignal, Readable } from 'node:stream'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { type Blobs, type BlobUrl, checkBlobKey, isBlobKey } from '../../ports/blobs.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { S3Config } from './config.ts'
import { createS3Connection, type S3Connection } from './connect.ts'
import { failureOf, type SettingNames, settingNames, statusOf } from './failures.ts'
import { createTurns, type Turns } from './turns.ts'
import { checksumName, md5Of, uploadWhole } from './upload.ts'

export type S3Context = { logger: Logger }

/** The longest time that a signature of S3 may be valid. */
const presignMsMax = 7 * 86_400_000

export type S3Options = {
  /** Goes on, with a warning, where the store cannot be reached now. */
  mayBeAway?: boolean
  /** How messages call the settings, where they are others than those of `s3`. */
  names?: SettingNames
}

/**
 * Asks for one key, to hear early what is wrong: fails with `CONFIG_INVALID` for what stays until a setting is
 * changed, and with `BLOBS_UNAVAILABLE` for what may pass.
 */
export async function openS3Blobs(
  context: S3Context,
  config: S3Config,
  options: S3Options = {},
): Promise<Blobs> {
  const names = options.names ?? settingNames
  if (config.bucket === undefined)
    throw new RowmillError('CONFIG_INVALID', `Blobs are to be on S3, but ${names.bucket} is not set.`)
  await using stack = new AsyncDisposableStack()
  const connection = stack.use(await createS3Connection(config))
  const blobs = new S3Blobs(context, { ...config, names }, connection)
  try {
    await blobs.probe()
  } catch (error) {
    if (!(error instanceof RowmillError)) throw error
    if (error.code === 'BLOBS_REFUSED')
      throw new RowmillError('CONFIG_INVALID', error.message, { cause: error.cause })
    if (options.mayBeAway !== true) throw error
    context.logger.warn({ error }, 'the object store cannot be reached yet')
  }
  stack.move()
  return blobs
}

class S3Blobs implements Blobs {
  readonly #context: S3Context
  readonly #config: S3Config & { names: SettingNames }
  readonly #connection: S3Connection
  readonly #turns: Turns
  readonly #closing = new AbortController()

  constructor(context: S3Context, config: S3Config & { names: SettingNames }, connection: S3Connection) {
    this.#context = context
    this.#config = config
    this.#connection = connection
    this.#turns = createTurns({ max: config.requestsMax, waitingMax: config.waitingMax })
  }

  async probe(): Promise<void> {
    await this.#run('listed', (signal) => this.#listPage({ prefix: '', count: 1 }, signal))
  }

  async put(key: string, bytes: Buffer): Promise<void> {
    const name = this.#nameOf(key)
    const { logger } = this.#context
    await this.#run('written', (signal) =>
      uploadWhole({
        connection: this.#connection,
        turns: this.#turns,
        logger,
        config: this.#config,
        key: name,
        bytes,
        signal,
      }),
    )
  }

  async get(key: string): Promise<Buffer | undefined> {
    const name = this.#nameOf(key)
    const { client, commands } = this.#connection
    const command = new commands.GetObjectCommand({ Bucket: this.#config.bucket, Key: name })
    return await this.#run('read', async (signal) =>
      this.#turns.take(async () => {
        const answer = await orMissing(client.send(command, { abortSignal: signal }))
        if (answer === undefined) return undefined
        const { Body: body, ContentLength: length, Metadata: metadata = {} } = answer
        if (!(body instanceof Readable)) throw new TypeError('S3 answers a stream.')
        const chunks: Buffer[] = await Array.fromAsync(addAbortSignal(signal, body))
        const bytes = Buffer.concat(chunks)
        const md5 = metadata[checksumName]
        const isWhole = (length ?? bytes.length) === bytes.length && (md5 ?? md5Of(bytes)) === md5Of(bytes)
        if (!isWhole) throw new RowmillError('BLOBS_UNAVAILABLE', 'A blob came damaged from S3.')
        return bytes
      }, signal),
    )
  }

  async delete(key: string): Promise<boolean> {
    const object = { Bucket: this.#config.bucket, Key: this.#nameOf(key) }
    const { client, commands } = this.#connection
    return await this.#run('deleted', async (signal) => {
      const found = await this.#turns.take(
        () => orMissing(client.send(new commands.HeadObjectCommand(object), { abortSignal: signal })),
        signal,
      )
      if (found === undefined) return false
      await this.#turns.take(
        () => client.send(new commands.DeleteObjectCommand(object), { abortSignal: signal }),
        signal,
      )
      return true
    })
  }

  async *list(
    prefix: string,
    { signal: until }: { signal?: AbortSignal } = {},
  ): AsyncGenerator<{ key: string; bytes: number }, void, undefined> {
    let token: string | undefined
    do {
      const asked = { prefix, count: 1000, token }
      const page = await this.#run('listed', (signal) => this.#listPage(asked, signal), until)
      if (page === undefined) return
      for (const object of page.objects) {
        if (isAborted(until)) return
        yield object
      }
      token = page.token
    } while (token !== undefined)
  }

  async presign(key: string, options: BlobUrl): Promise<string | undefined> {
    const object = { Bucket: this.#config.bucket, Key: this.#nameOf(key) }
    const { presigning, commands } = this.#connection
    const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
    const expiresIn = Math.max(1, Math.round(Math.min(options.expiresMs, presignMsMax) / 1000))
    const sign = (): Promise<string> =>
      options.method === 'put'
        ? getSignedUrl(presigning, new commands.PutObjectCommand(object), { expiresIn })
        : getSignedUrl(presigning, new commands.GetObjectCommand(object), { expiresIn })
    return await this.#run('signed', sign)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    await this.#connection[Symbol.asyncDispose]()
  }

  #nameOf(key: string): string {
    checkBlobKey(key)
    return this.#config.keyPrefix + key
  }

  async #listPage(
    { prefix, count, token }: { prefix: string; count: number; token?: string | undefined },
    signal: AbortSignal,
  ) {
    const { bucket, keyPrefix } = this.#config
    const { client, commands } = this.#connection
    const command = new commands.ListObjectsV2Command({
      Bucket: bucket,
      Prefix: keyPrefix + prefix,
      MaxKeys: count,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    })
    const page = await this.#turns.take(() => client.send(command, { abortSignal: signal }), signal)
    const objects = (page.Contents ?? []).flatMap(({ Key, Size }) => {
      const key = Key?.slice(keyPrefix.length) ?? ''
      return isBlobKey(key) ? [{ key, bytes: Size ?? 0 }] : []
    })
    return { objects, token: page.IsTruncated === true ? page.NextContinuationToken : undefined }
  }

  async #run<T>(what: string, call: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Answers undefined when `until` has aborted. */
  async #run<T>(
    what: string,
    call: (signal: AbortSignal) => Promise<T>,
    until: AbortSignal | undefined,
  ): Promise<T | undefined>
  async #run<T>(
    what: string,
    call: (signal: AbortSignal) => Promise<T>,
    until?: AbortSignal,
  ): Promise<T | undefined> {
    const closing = this.#closing.signal
    if (closing.aborted) throw new RowmillError('BLOBS_UNAVAILABLE', 'The blob store has been closed.')
    if (isAborted(until)) return undefined
    const late = AbortSignal.timeout(this.#config.operationTimeoutMs)
    try {
      return await call(AbortSignal.any([closing, late, ...(until === undefined ? [] : [until])]))
    } catch (error) {
      if (closing.aborted) throw new RowmillError('BLOBS_UNAVAILABLE', 'The blob store has been closed.')
      if (isAborted(until)) return undefined
      throw failureOf(error, what, this.#config)
    }
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // A HEAD has no body, so a bucket that is missing cannot be told from an object there.
    const isMissing = error.name === 'NoSuchKey' || error.name === 'NotFound'
    if (isMissing && statusOf(error).status === 404) return undefined
    throw error
  }
}
