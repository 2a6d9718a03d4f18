import { createHash } from 'node:crypto'

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const canonical = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const simple = /^[0-9a-fA-F]{32}$/
const timeMax = 2 ** 48 - 1

/** Whether the text is a UUID in its usual form: lower case with hyphens. */
export function isUuid(text: string): boolean {
  return canonical.test(text)
}

/**
 * The usual form of a UUID given with or without hyphens, in braces, as `urn:uuid:`, in either case; undefined
 * if it is none.
 */
export function parseUuid(text: string): string | undefined {
  if (canonical.test(text)) return text
  let rest = text
  if (rest.length === 38 && rest.startsWith('{') && rest.endsWith('}')) rest = rest.slice(1, -1)
  else if (rest.length === 45 && rest.startsWith('urn:uuid:')) rest = rest.slice(9)
  const lower = rest.toLowerCase()
  if (canonical.test(lower)) return lower
  if (!simple.test(rest) || text.length !== 32) return undefined
  return `${lower.slice(0, 8)}-${lower.slice(8, 12)}-${lower.slice(12, 16)}-${lower.slice(16, 20)}-${lower.slice(20)}`
}

/** A random UUID out of 16 random bytes. */
export function uuidV4(bytes: Uint8Array): string {
  return format(bytes, 0, 4)
}

/** A UUID whose order is the order of time: ms since the epoch (floored at 0) and 10 random bytes. */
export function uuidV7(ms: number, bytes: Uint8Array, offset = 0): string {
  const time = Math.min(Math.max(0, Math.floor(ms)), timeMax)
  const high = time.toString(16).padStart(12, '0')
  const b = (index: number) => bytes[offset + index] ?? 0
  return (
    `${high.slice(0, 8)}-${high.slice(8)}-${hex[(b(0) & 0x0f) | 0x70]}${hex[b(1)]}-` +
    `${hex[(b(2) & 0x3f) | 0x80]}${hex[b(3)]}-${hex[b(4)]}${hex[b(5)]}${hex[b(6)]}${hex[b(7)]}${hex[b(8)]}${hex[b(9)]}`
  )
}

/** The UUID of a name in a namespace (SHA-1): the same name always gives the same UUID. */
export function uuidV5(name: string, namespace: string): string {
  const space = Buffer.from(namespace.replaceAll('-', ''), 'hex')
  return format(createHash('sha1').update(space).update(name, 'utf8').digest(), 0, 5)
}

/** Time-ordered UUIDs whose random bytes are fetched in blocks: one by one they would cost more than the rest. */
export function createUuidSource(bytes: (length: number) => Buffer): { v7(ms: number): string } {
  let block: Buffer = Buffer.alloc(0)
  let at = 0
  return {
    v7(ms) {
      if (at + 10 > block.length) {
        block = bytes(4000)
        at = 0
      }
      const uuid = uuidV7(ms, block, at)
      at += 10
      return uuid
    },
  }
}

function format(bytes: Uint8Array, offset: number, version: number): string {
  let text = ''
  for (let index = 0; index < 16; index++) {
    let byte = bytes[offset + index] ?? 0
    if (index === 6) byte = (byte & 0x0f) | (version << 4)
    if (index === 8) byte = (byte & 0x3f) | 0x80
    text += hex[byte]
    if (index === 3 || index === 5 || index === 7 || index === 9) text += '-'
  }
  return text
}
