/** What the server for tests holds: objects and the parts of uploads that are under way. */
import { createHash, randomBytes } from 'node:crypto'

export type StoredObject = { bytes: Buffer; etag: string; metadata: Record<string, string> }
export type Upload = { key: string; metadata: Record<string, string>; parts: Map<number, StoredObject> }
export type Bucket = { objects: Map<string, StoredObject>; uploads: Map<string, Upload> }

export function createBucket(): Bucket {
  return { objects: new Map(), uploads: new Map() }
}

export function md5(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}

export function storedObject(bytes: Buffer, metadata: Record<string, string>): StoredObject {
  return { bytes, etag: `"${md5(bytes).toString('hex')}"`, metadata }
}

export function beginUpload(bucket: Bucket, key: string, metadata: Record<string, string>): string {
  const id = randomBytes(12).toString('hex')
  bucket.uploads.set(id, { key, metadata, parts: new Map() })
  return id
}

const partBytesMin = 5 * 1024 * 1024

/** The code of S3 where the parts do not fit together. */
export function completeUpload(
  bucket: Bucket,
  id: string,
  asked: readonly { number: number; etag: string }[],
): string | StoredObject {
  const upload = bucket.uploads.get(id)
  if (upload === undefined) return 'NoSuchUpload'
  const parts: StoredObject[] = []
  for (const [index, { number, etag }] of asked.entries()) {
    const part = upload.parts.get(number)
    if (part === undefined || part.etag !== etag) return 'InvalidPart'
    if (index > 0 && number <= (asked[index - 1]?.number ?? 0)) return 'InvalidPartOrder'
    if (index < asked.length - 1 && part.bytes.length < partBytesMin) return 'EntityTooSmall'
    parts.push(part)
  }
  if (parts.length === 0) return 'MalformedXML'
  const digests = parts.map(({ etag }) => Buffer.from(etag.slice(1, -1), 'hex'))
  const etag = `"${md5(Buffer.concat(digests)).toString('hex')}-${parts.length}"`
  const object = { bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), etag, metadata: upload.metadata }
  bucket.objects.set(upload.key, object)
  bucket.uploads.delete(id)
  return object
}

/** A page of keys in byte order, and the key to go on after. */
export function listKeys(
  bucket: Bucket,
  { prefix, after, max }: { prefix: string; after: string; max: number },
): { keys: string[]; next: string | undefined } {
  const found = [...bucket.objects.keys()]
    .filter((key) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
    .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  const keys = found.slice(0, max)
  return { keys, next: found.length > max ? keys.at(-1) : undefined }
}
