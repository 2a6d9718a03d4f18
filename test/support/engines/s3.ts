/**
 * S3 for tests. There is no server in Debian, and those in npm are old or check little, so this is our own
 * (`s3/server.ts`), in the process of the test. `ROWMILL_TEST_S3=http://key:secret@host:port/bucket` names a real one
 * for the plain variant; its region is us-east-1.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { tempDir } from '../temp-dir.ts'
import { makeCertificates } from './certificates.ts'
import { type Bucket, createBucket } from './s3/buckets.ts'
import { createS3Server, type Faults } from './s3/server.ts'

/** Why S3 tests cannot run here, or false. Node is enough. */
export const noS3: string | false = false

export type S3Options = {
  /** A server that nobody shares and that may fail. Every other option implies it. */
  isOwn?: boolean
  /** `https://` with a certificate of an authority of its own, for 127.0.0.1 and localhost. */
  isTls?: boolean
  region?: string
}

export type TestS3 = AsyncDisposable & {
  endpoint: string
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** Different for each call; ends in `/`. */
  keyPrefix: string
  /** The certificate of the authority, with `isTls`. */
  caFile: string | undefined
  faults: Faults
  /** Every request that has come, as `GET /bucket/key`. */
  requests: string[]
  /** What the bucket holds, with prefixes. */
  content: Bucket
  kill(): Promise<void>
  /** The same port and objects again. */
  start(): Promise<void>
}

export async function openS3(options: S3Options = {}): Promise<TestS3> {
  const shared = process.env.ROWMILL_TEST_S3
  if (Object.keys(options).length === 0 && shared !== undefined && shared !== '') return openShared(shared)
  return await openOwn(options)
}

function newPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}/`
}

function openShared(address: string): TestS3 {
  const url = new URL(address)
  const refuse = (): never => assert.fail('This S3 is shared: open one with isOwn.')
  return {
    endpoint: url.origin,
    bucket: url.pathname.slice(1),
    region: 'us-east-1',
    accessKeyId: decodeURIComponent(url.username),
    secretAccessKey: decodeURIComponent(url.password),
    keyPrefix: newPrefix(),
    caFile: undefined,
    get faults(): Faults {
      return refuse()
    },
    get requests(): string[] {
      return refuse()
    },
    get content(): Bucket {
      return refuse()
    },
    kill: async () => refuse(),
    start: async () => refuse(),
    async [Symbol.asyncDispose]() {},
  }
}

async function openOwn({ isTls = false, region = 'us-east-1' }: S3Options): Promise<TestS3> {
  await using stack = new AsyncDisposableStack()
  const certificates = isTls
    ? await makeCertificates(stack.use(await tempDir('rowmill-s3-')).path)
    : undefined
  const tls =
    certificates === undefined
      ? {}
      : { tls: { cert: await readFile(certificates.certFile), key: await readFile(certificates.keyFile) } }
  const bucket = `rowmill-${randomBytes(4).toString('hex')}`
  const credentials = {
    accessKeyId: 'AKIAROWMILLTEST',
    secretAccessKey: randomBytes(20).toString('base64'),
    region,
  }
  const content = createBucket()
  const faults: Faults = {}
  const make = () => createS3Server({ credentials, buckets: new Map([[bucket, content]]), faults, ...tls })
  let running: ReturnType<typeof make> | undefined = make()
  const requests = running.requests
  await running.listen(0)
  const address = running.server.address()
  assert(address !== null && typeof address === 'object')
  const kill = async (): Promise<void> => {
    const killed = running
    running = undefined
    await killed?.close()
  }
  stack.defer(kill)
  const owned = stack.move()
  return {
    endpoint: `${isTls ? 'https' : 'http'}://127.0.0.1:${address.port}`,
    bucket,
    ...credentials,
    keyPrefix: newPrefix(),
    caFile: certificates?.caFile,
    faults,
    requests,
    content,
    kill,
    async start() {
      assert(running === undefined)
      running = make()
      await running.listen(address.port)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The settings of Rowmill's adapter for it. */
export function s3SettingsOf(s3: TestS3): Record<string, unknown> {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey, keyPrefix, caFile } = s3
  return {
    ...{ endpoint, bucket, region, accessKeyId, secretAccessKey, keyPrefix },
    ...(caFile === undefined ? {} : { tlsCaFile: caFile }),
  }
}
