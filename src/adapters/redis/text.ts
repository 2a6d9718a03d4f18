/**
 * Texts as bytes and back. What is valid Unicode is plain UTF-8, so keys and values are those that other
 * programs read and write. A lone surrogate, which a JavaScript text may hold and UTF-8 may not, becomes the
 * three bytes that its number has in UTF-8's scheme, and comes back as it was. Other bytes that are no UTF-8,
 * which only another program can have written, come back with replacement characters.
 */
import { isUtf8 } from 'node:buffer'

export function encodeText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8')
  // A character beyond the 16 bit plane is iterated as one, so what is left of surrogates stands alone.
  const parts = Array.from(text, (character) => {
    if (character.isWellFormed()) return Buffer.from(character, 'utf8')
    const unit = character.charCodeAt(0)
    return Buffer.from([0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)])
  })
  return Buffer.concat(parts)
}

export function decodeText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let text = ''
  let from = 0
  for (let at = bytes.indexOf(0xed); at !== -1; at = bytes.indexOf(0xed, at + 1)) {
    const [, second = 0, third = 0] = bytes.subarray(at, at + 3)
    if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue
    text += bytes.toString('utf8', from, at)
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f))
    from = at + 3
    at += 2
  }
  return text + bytes.toString('utf8', from)
}

/**
 * Keys whose values PostHog's ingestion keeps as plain bytes: the sessions of cookieless visitors. The port holds
 * texts, so these are base64 there, and both programs can go on with each other's sessions.
 */
const bytesKeys = /^cklss:/

export function encodeValue(key: string, text: string): Buffer {
  return bytesKeys.test(key) ? Buffer.from(text, 'base64') : encodeText(text)
}

export function decodeValue(key: string, bytes: Buffer): string {
  return bytesKeys.test(key) ? bytes.toString('base64') : decodeText(bytes)
}
