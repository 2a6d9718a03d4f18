/**
 * Walks over JSON in UTF-8 bytes and checks it, without making anything of it. Stricter than JSON: what is rare
 * (white space other than spaces, escapes of half a character, deep nesting) is not accepted, and means only that
 * the caller takes its slower way. What is accepted here `JSON.parse` accepts too, and a string that is accepted
 * as plain stands in the bytes as it is. That the bytes are UTF-8 is the caller's to know.
 *
 * All functions give the place after what they have walked over, or -1.
 */
const nestingMax = 60

export const codes = {
  space: 32,
  quote: 34,
  comma: 44,
  colon: 58,
  openBracket: 91,
  backslash: 92,
  closeBracket: 93,
  t: 116,
  openBrace: 123,
  closeBrace: 125,
} as const

export function skipSpaces(source: Uint8Array, start: number): number {
  let at = start
  while (at < source.length && source[at] === 32) at++
  return at
}

/** A string without escapes: the text is what stands between the quotes. */
export function scanPlainString(source: Uint8Array, start: number): number {
  if (source[start] !== 34) return -1
  for (let at = start + 1; at < source.length; at++) {
    const code = source[at] ?? 0
    if (code === 34) return at + 1
    if (code < 32 || code === 92) return -1
  }
  return -1
}

function scanString(source: Uint8Array, start: number): number {
  for (let at = start + 1; at < source.length; at++) {
    const code = source[at] ?? 0
    if (code === 34) return at + 1
    if (code === 92) {
      at = scanEscape(source, at)
      if (at < 0) return -1
    } else if (code < 32) return -1
  }
  return -1
}

/** The place of the escape's last byte. */
function scanEscape(source: Uint8Array, start: number): number {
  if (start + 1 >= source.length) return -1
  switch (source[start + 1]) {
    case 34:
    case 47:
    case 92:
    case 98:
    case 102:
    case 110:
    case 114:
    case 116:
      return start + 1
    case 117:
      break
    default:
      return -1
  }
  if (start + 5 >= source.length) return -1
  for (let at = start + 2; at < start + 6; at++) if (!isHex(source[at] ?? 0)) return -1
  // Half characters are replaced, which is not done here.
  const isHalf = ((source[start + 2] ?? 0) | 32) === 100 && (source[start + 3] ?? 0) > 55
  return isHalf ? -1 : start + 5
}

function isHex(code: number): boolean {
  const lower = code | 32
  return (code >= 48 && code <= 57) || (lower >= 97 && lower <= 102)
}

/** Any value; `nesting` is how many arrays and objects it already stands in. */
export function scanValue(source: Uint8Array, start: number, nesting: number): number {
  if (start >= source.length) return -1
  switch (source[start]) {
    case 34:
      return scanString(source, start)
    case 123:
      return scanObject(source, start, nesting + 1)
    case 91:
      return scanArray(source, start, nesting + 1)
    case 116:
      return scanWord(source, start, 'true')
    case 102:
      return scanWord(source, start, 'false')
    case 110:
      return scanWord(source, start, 'null')
    default:
      return scanNumber(source, start)
  }
}

function scanObject(source: Uint8Array, start: number, nesting: number): number {
  if (nesting > nestingMax) return -1
  let at = skipSpaces(source, start + 1)
  if (at < source.length && source[at] === 125) return at + 1
  while (at < source.length && source[at] === 34) {
    at = scanString(source, at)
    if (at < 0) return -1
    at = scanColon(source, at)
    if (at < 0) return -1
    at = scanValue(source, at, nesting)
    if (at < 0) return -1
    at = skipSpaces(source, at)
    if (at >= source.length) return -1
    if (source[at] === 125) return at + 1
    if (source[at] !== 44) return -1
    at = skipSpaces(source, at + 1)
  }
  return -1
}

function scanArray(source: Uint8Array, start: number, nesting: number): number {
  if (nesting > nestingMax) return -1
  let at = skipSpaces(source, start + 1)
  if (at < source.length && source[at] === 93) return at + 1
  while (at < source.length) {
    at = scanValue(source, at, nesting)
    if (at < 0) return -1
    at = skipSpaces(source, at)
    if (at >= source.length) return -1
    if (source[at] === 93) return at + 1
    if (source[at] !== 44) return -1
    at = skipSpaces(source, at + 1)
  }
  return -1
}

/** The colon after a name, with the spaces around it. */
export function scanColon(source: Uint8Array, start: number): number {
  const at = skipSpaces(source, start)
  if (at >= source.length || source[at] !== 58) return -1
  return skipSpaces(source, at + 1)
}

export function scanWord(source: Uint8Array, start: number, word: string): number {
  if (start + word.length > source.length) return -1
  for (let index = 0; index < word.length; index++)
    if (source[start + index] !== word.charCodeAt(index)) return -1
  return start + word.length
}

function scanNumber(source: Uint8Array, start: number): number {
  let at = start
  if (source[at] === 45) at++
  const whole = at
  at = skipDigits(source, at)
  if (at === whole || (source[whole] === 48 && at > whole + 1)) return -1
  if (at < source.length && source[at] === 46) {
    const fraction = at + 1
    at = skipDigits(source, fraction)
    if (at === fraction) return -1
  }
  if (at < source.length && ((source[at] ?? 0) | 32) === 101) {
    at++
    if (at < source.length && (source[at] === 43 || source[at] === 45)) at++
    const exponent = at
    at = skipDigits(source, exponent)
    if (at === exponent) return -1
  }
  return at
}

function skipDigits(source: Uint8Array, start: number): number {
  let at = start
  for (; at < source.length; at++) {
    const code = source[at] ?? 0
    if (code < 48 || code > 57) break
  }
  return at
}
