/**
 * ClickHouse's own compression of HTTP bodies (`compress=1`, `decompress=1`): blocks of a checksum, a method,
 * two sizes and the data. Clients that speak the native protocol, JDBC among them, use it.
 */
import { Transform, type TransformCallback } from 'node:stream'
import { zstdDecompressSync } from 'node:zlib'
import { compressSync, uncompressSync } from 'lz4-napi'
import { failure } from '../failure.ts'
import { cityHash128 } from './city-hash.ts'

const methods = { none: 0x02, lz4: 0x82, zstd: 0x90 }
const checksumBytes = 16
const headerBytes = 9
/** ClickHouse's own bound of a block. */
const blockBytesMax = 1_073_741_824
const blockBytes = 1_048_576

/** One block holding `data`. */
export function encodeBlock(data: Buffer): Buffer {
  // lz4-napi puts the size before the block; ClickHouse has it in its header.
  const packed = compressSync(data).subarray(4)
  const body = Buffer.alloc(headerBytes + packed.length)
  body.writeUInt8(methods.lz4, 0)
  body.writeUInt32LE(headerBytes + packed.length, 1)
  body.writeUInt32LE(data.length, 5)
  packed.copy(body, headerBytes)
  return Buffer.concat([cityHash128(body), body])
}

/** The data of one whole block, checksum verified. Throws CANNOT_DECOMPRESS or INCORRECT_DATA. */
export function decodeBlock(block: Buffer): Buffer {
  const body = block.subarray(checksumBytes)
  if (!cityHash128(body).equals(block.subarray(0, checksumBytes)))
    throw failure('INCORRECT_DATA', "Checksum doesn't match: corrupted data.")
  const packed = body.subarray(headerBytes)
  const size = body.readUInt32LE(5)
  const data = unpack(body.readUInt8(0), { packed, size })
  if (data.length !== size)
    throw failure('CANNOT_DECOMPRESS', 'A compressed block has another size than it says.')
  return data
}

function unpack(method: number, block: { packed: Buffer; size: number }): Buffer {
  const { packed, size } = block
  if (method === methods.none) return packed
  try {
    if (method === methods.zstd) return zstdDecompressSync(packed, { maxOutputLength: Math.max(size, 1) })
    if (method === methods.lz4) {
      const prefix = Buffer.alloc(4)
      prefix.writeUInt32LE(size)
      return uncompressSync(Buffer.concat([prefix, packed]))
    }
  } catch (error) {
    throw failure('CANNOT_DECOMPRESS', `Cannot decompress a block: ${String(error)}.`)
  }
  throw failure('CANNOT_DECOMPRESS', `Unknown compression method: ${method}.`)
}

/** Packs a stream of bytes. */
export function createBlockEncoder(): Transform {
  let held: Buffer[] = []
  let heldBytes = 0
  const flush = (stream: Transform) => {
    if (heldBytes > 0) stream.push(encodeBlock(Buffer.concat(held)))
    held = []
    heldBytes = 0
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes >= blockBytes) flush(this)
      done()
    },
    flush(done) {
      flush(this)
      done()
    },
  })
}

/** Unpacks a stream of blocks. */
export function createBlockDecoder(): Transform {
  let held = Buffer.alloc(0)
  const decode = (stream: Transform, done: TransformCallback) => {
    try {
      for (;;) {
        if (held.length < checksumBytes + headerBytes) break
        const size = held.readUInt32LE(checksumBytes + 1)
        if (size < headerBytes || Math.max(size, held.readUInt32LE(checksumBytes + 5)) > blockBytesMax)
          throw failure('CANNOT_DECOMPRESS', 'A compressed block is too large or has no header.')
        if (held.length < checksumBytes + size) break
        stream.push(decodeBlock(held.subarray(0, checksumBytes + size)))
        held = held.subarray(checksumBytes + size)
      }
      done()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk])
      decode(this, done)
    },
    flush(done) {
      done(held.length === 0 ? null : failure('CANNOT_DECOMPRESS', 'The last compressed block is cut off.'))
    },
  })
}
