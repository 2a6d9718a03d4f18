/**
 * Finds values inside valid JSON text without rebuilding them, so that what a client sent goes on byte for
 * byte. The text must have been accepted by `JSON.parse`; like there, the last of several equal keys counts.
 */
export type MemberVisitor = (key: string, valueAt: number) => number | undefined

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/**
 * Visits the members of the object whose `{` is at `at` and answers where the object ends. A visitor that has
 * gone through the value itself answers where that ends.
 */
export function visitMembers(text: string, at: number, visit: MemberVisitor): number {
  let next = skipSpace(text, at + 1)
  while (text.charCodeAt(next) !== closeBrace) {
    const keyEnd = endOfString(text, next)
    const key = readKey(text, next, keyEnd)
    const valueAt = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const valueEnd = visit(key, valueAt) ?? endOfValue(text, valueAt)
    next = skipSpace(text, valueEnd)
    if (text.charCodeAt(next) === comma) next = skipSpace(text, next + 1)
  }
  return next + 1
}

/** Visits the elements of the array whose `[` is at `at`; the visitor answers where each ends. */
export function visitElements(text: string, at: number, visit: (valueAt: number) => number): number {
  let next = skipSpace(text, at + 1)
  while (text.charCodeAt(next) !== closeBracket) {
    next = skipSpace(text, visit(next))
    if (text.charCodeAt(next) === comma) next = skipSpace(text, next + 1)
  }
  return next + 1
}

/** The offset after the value that begins at `at`. */
export function endOfValue(text: string, at: number): number {
  return measureValue(text, at).end
}

/** Where the value that begins at `at` ends, and how many arrays and objects stand inside one another in it. */
export function measureValue(text: string, at: number): { end: number; nesting: number } {
  const first = text.charCodeAt(at)
  if (first === quote) return { end: endOfString(text, at), nesting: 0 }
  if (first !== openBrace && first !== openBracket) return { end: endOfScalar(text, at), nesting: 0 }
  let depth = 0
  let nesting = 0
  for (let next = at; ; next++) {
    const code = text.charCodeAt(next)
    if (code === quote) next = endOfString(text, next) - 1
    else if (code === openBrace || code === openBracket) {
      depth++
      if (depth > nesting) nesting = depth
    } else if (code === closeBrace || code === closeBracket) {
      depth--
      if (depth === 0) return { end: next + 1, nesting }
    }
  }
}

export function skipSpace(text: string, at: number): number {
  let next = at
  for (;;) {
    const code = text.charCodeAt(next)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return next
    next++
  }
}

function endOfScalar(text: string, at: number): number {
  let next = at
  for (; next < text.length; next++) {
    const code = text.charCodeAt(next)
    if (code === comma || code === closeBrace || code === closeBracket || code <= 0x20) break
  }
  return next
}

function endOfString(text: string, at: number): number {
  let end = text.indexOf('"', at + 1)
  while (isEscaped(text, at, end)) end = text.indexOf('"', end + 1)
  return end + 1
}

/** Whether an odd number of backslashes stands before `end`. */
function isEscaped(text: string, start: number, end: number): boolean {
  let before = end - 1
  while (before > start && text.charCodeAt(before) === backslash) before--
  return (end - 1 - before) % 2 === 1
}

function readKey(text: string, at: number, end: number): string {
  const raw = text.slice(at + 1, end - 1)
  if (!raw.includes('\\')) return raw
  return String(JSON.parse(text.slice(at, end)))
}
