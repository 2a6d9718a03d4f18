/** Content codings of bodies: what clients may send and what they may ask for. */
import { Transform } from 'node:stream'
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createGunzip,
  createGzip,
  createInflate,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { failure } from '../failure.ts'

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd' | 'lz4'

const decoders: Record<Coding, () => Transform> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
  lz4: () => wholeTransform(decompressFrameSync),
}

const encoders: Record<Coding, () => Transform> = {
  gzip: () => createGzip({ level: 1 }),
  deflate: () => createDeflate({ level: 1 }),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: () => createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  lz4: () => frameTransform(compressFrameSync),
}

/** Unpacks a request's body. Throws for a coding that ClickHouse does not know. */
export function createDecoder(coding: string): Transform | undefined {
  const name = coding.trim().toLowerCase()
  if (name === '' || name === 'identity') return undefined
  if (!isCoding(name)) throw failure('NOT_IMPLEMENTED', `Unknown Content-Encoding: ${name}.`)
  return decoders[name]()
}

export function createEncoder(coding: Coding): Transform {
  return encoders[coding]()
}

/** The first coding that the client accepts, in ClickHouse's order. */
export function chooseCoding(accepted: string): Coding | undefined {
  const names = accepted
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => !/;\s*q=0(\.0*)?$/.test(one))
    .map((one) => one.replace(/;.*$/, '').trim())
  const order: readonly Coding[] = ['gzip', 'deflate', 'br', 'zstd', 'lz4']
  return order.find((coding) => names.includes(coding))
}

function isCoding(name: string): name is Coding {
  return Object.hasOwn(decoders, name)
}

/** For a decoder that needs all of its input. The body's bound is the caller's. */
function wholeTransform(decode: (data: Buffer) => Buffer): Transform {
  const chunks: Buffer[] = []
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
    flush(done) {
      try {
        done(null, decode(Buffer.concat(chunks)))
      } catch (error) {
        done(failure('CANNOT_DECOMPRESS', `The body could not be decompressed: ${String(error)}.`))
      }
    },
  })
}

/** LZ4 frames may follow one another, so each chunk becomes one. */
function frameTransform(encode: (data: Buffer) => Buffer): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, encode(chunk))
    },
  })
}
