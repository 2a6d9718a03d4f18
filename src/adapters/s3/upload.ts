/**
 * Writing one object. A large one goes in parts, some at the same time, and becomes visible whole when the last step
 * is done; when a part fails, the parts that are there are removed, because they would be paid for.
 */
import { createHash } from 'node:crypto'
import type { Logger } from '../../telemetry/logger.ts'
import type { S3Config } from './config.ts'
import type { S3Connection } from './connect.ts'
import type { Turns } from './turns.ts'

/** Where an object carries its own checksum, which is compared when it is read. */
export const checksumName = 'rowmill-md5'

export type Upload = {
  connection: S3Connection
  turns: Turns
  logger: Logger
  config: S3Config
  key: string
  bytes: Buffer
  signal: AbortSignal
}

export function md5Of(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('base64')
}

export async function uploadWhole(upload: Upload): Promise<void> {
  const { connection, turns, config, key, bytes, signal } = upload
  if (bytes.length >= config.multipartBytesMin) return await uploadInParts(upload)
  const md5 = md5Of(bytes)
  const command = new connection.commands.PutObjectCommand({
    Bucket: config.bucket,
    Key: key,
    Body: bytes,
    ContentMD5: md5,
    ContentLength: bytes.length,
    ContentType: 'application/octet-stream',
    Metadata: { [checksumName]: md5 },
  })
  await turns.take(() => connection.client.send(command, { abortSignal: signal }), signal)
}

async function uploadInParts(upload: Upload): Promise<void> {
  const { connection, turns, config, key, bytes, signal } = upload
  const { client, commands } = connection
  const object = { Bucket: config.bucket, Key: key }
  const begin = new commands.CreateMultipartUploadCommand({
    ...object,
    ContentType: 'application/octet-stream',
    Metadata: { [checksumName]: md5Of(bytes) },
  })
  const { UploadId } = await turns.take(() => client.send(begin, { abortSignal: signal }), signal)
  try {
    const parts = await uploadParts(upload, UploadId)
    const complete = new commands.CompleteMultipartUploadCommand({
      ...object,
      UploadId,
      MultipartUpload: { Parts: parts },
    })
    await turns.take(() => client.send(complete, { abortSignal: signal }), signal)
  } catch (error) {
    await removeParts(upload, UploadId)
    throw error
  }
}

type Part = { PartNumber: number; ETag: string | undefined }

async function uploadParts(upload: Upload, UploadId: string | undefined): Promise<Part[]> {
  const { connection, turns, config, key, bytes, signal } = upload
  // A part may have any number up to 10 000.
  const partBytes = Math.max(config.partBytes, Math.ceil(bytes.length / 10_000))
  const count = Math.ceil(bytes.length / partBytes)
  const parts: Part[] = []
  const failed = new AbortController()
  const until = AbortSignal.any([signal, failed.signal])
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count && !failed.signal.aborted) {
      const index = next++
      const body = bytes.subarray(index * partBytes, (index + 1) * partBytes)
      const command = new connection.commands.UploadPartCommand({
        Bucket: config.bucket,
        Key: key,
        UploadId,
        PartNumber: index + 1,
        Body: body,
        ContentMD5: md5Of(body),
        ContentLength: body.length,
      })
      const { ETag } = await turns.take(() => connection.client.send(command, { abortSignal: until }), until)
      parts[index] = { PartNumber: index + 1, ETag }
    }
  }
  const errors: unknown[] = []
  const workers = Array.from({ length: Math.min(config.partsInFlightMax, count) }, () =>
    work().catch((error: unknown) => {
      errors.push(error)
      failed.abort()
    }),
  )
  // All are waited for, so that no part comes after the removal. The first failure is the true one.
  await Promise.all(workers)
  if (errors.length > 0) throw errors[0]
  return parts
}

/** Without the signal of the upload: it may be why the upload has failed. */
async function removeParts(upload: Upload, UploadId: string | undefined): Promise<void> {
  const { connection, config, key, logger } = upload
  const command = new connection.commands.AbortMultipartUploadCommand({
    Bucket: config.bucket,
    Key: key,
    UploadId,
  })
  try {
    await connection.client.send(command, { abortSignal: AbortSignal.timeout(config.requestTimeoutMs) })
  } catch (error) {
    logger.warn({ error, key }, 'the parts of a failed upload could not be removed; a rule of the bucket can')
  }
}
