/**
 * The 128 bits that stand for (token, uuid): the uuid's own bits, moved by a hash of the token. Within one
 * project two uuids never share them; between projects they meet by a chance of 2^-128.
 */
import { createHash } from 'node:crypto'

export const fingerprintWords = 4

const tokensMax = 10_000
const nibbles = new Int8Array(128).fill(-1)
for (let value = 0; value < 16; value++) {
  nibbles['0123456789abcdef'.charCodeAt(value)] = value
  nibbles['0123456789ABCDEF'.charCodeAt(value)] = value
}

export interface Fingerprinter {
  /** Writes the four words of (token, uuid) to `into` at `at`. */
  write(id: { token: string; uuid: string }, into: Uint32Array, at: number): void
}

export function createFingerprinter(): Fingerprinter {
  const tokens = new Map<string, Uint32Array>()
  const wordsOf = (token: string): Uint32Array => {
    const known = tokens.get(token)
    if (known !== undefined) return known
    const words = hashWords(token)
    // Tokens of strangers must not fill the memory; hashing them again is cheap.
    if (tokens.size >= tokensMax) tokens.clear()
    tokens.set(token, words)
    return words
  }
  return {
    write({ token, uuid }, into, at) {
      const mask = wordsOf(token)
      if (!writeUuid(uuid, into, at)) into.set(hashWords(`not a uuid:${uuid}`), at)
      for (let word = 0; word < fingerprintWords; word++)
        into[at + word] = (into[at + word] ?? 0) ^ (mask[word] ?? 0)
    },
  }
}

/**
 * Writes the bits of a UUID in any of its textual forms (either case, hyphens or none, braces, `urn:uuid:`).
 * False if the text is none.
 */
function writeUuid(text: string, into: Uint32Array, at: number): boolean {
  let start = 0
  if (text.length > 36 && /^urn:uuid:/i.test(text)) start = 9
  let digits = 0
  let word = 0
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const nibble = code < 128 ? (nibbles[code] ?? -1) : -1
    if (nibble >= 0) {
      if (digits === 32) return false
      word = (word << 4) | nibble
      digits++
      if ((digits & 7) === 0) into[at + (digits >> 3) - 1] = word
    } else if (!isFiller(text[index])) return false
  }
  return digits === 32
}

function isFiller(character: string | undefined): boolean {
  return character === '-' || character === '{' || character === '}'
}

function hashWords(text: string): Uint32Array {
  const hash = createHash('sha256').update(text).digest()
  const words = new Uint32Array(fingerprintWords)
  for (let word = 0; word < fingerprintWords; word++) words[word] = hash.readUInt32LE(word * 4)
  return words
}
