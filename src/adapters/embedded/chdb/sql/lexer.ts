/**
 * ClickHouse SQL cut into tokens: enough to tell words from what stands in strings, quoted identifiers,
 * heredocs and comments. It is lazy, because the data of an INSERT follows its head and is not SQL.
 */
import { failure } from '../failure.ts'

export type Token = {
  kind: 'word' | 'quoted' | 'string' | 'number' | 'mark'
  /** A word in lower case, a quoted identifier without its quotes, otherwise as written. */
  text: string
  start: number
  /** The place after the token. */
  end: number
}

const patterns = {
  space: /(?:[\s\0\u200b-\u200d\u2060\ufeff]|--[^\n]*|\/\/[^\n]*|#[ !][^\n]*)+/y,
  heredoc: /\$(\w*)\$/y,
  number: /\d[\w.]*/y,
  // Every letter beyond ASCII counts as part of a word: an unknown sign must never split one.
  word: /[A-Za-z_\u0080-\u2017\u201a\u201b\u201e-\uffff][\w$\u0080-\u2017\u201a\u201b\u201e-\uffff]*/y,
}

const quotes: Readonly<Record<string, { close: string; kind: 'string' | 'quoted' }>> = {
  "'": { close: "'", kind: 'string' },
  '`': { close: '`', kind: 'quoted' },
  '"': { close: '"', kind: 'quoted' },
  '\u2018': { close: '\u2019', kind: 'string' },
  '\u201c': { close: '\u201d', kind: 'quoted' },
}

/** The tokens of `text` in order, comments and space left out. Throws SYNTAX_ERROR where a quote has no end. */
export function* lex(text: string): Generator<Token, void> {
  let at = 0
  for (;;) {
    at = skipSpace(text, at)
    if (at >= text.length) return
    const token = nextToken(text, at)
    yield token
    at = token.end
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  for (;;) {
    const next = matchAt(patterns.space, text, at)?.[0].length ?? 0
    at += next
    if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      if (end < 0) throw syntaxError('a comment has no end', at)
      at = end + 2
    } else if (next === 0) return at
  }
}

function nextToken(text: string, start: number): Token {
  const first = text.charAt(start)
  const quote = quotes[first]
  if (quote !== undefined) return quotedToken(text, { start, quote })
  if (first === '$') {
    const tag = matchAt(patterns.heredoc, text, start)?.[0]
    if (tag !== undefined) {
      const end = text.indexOf(tag, start + tag.length)
      if (end < 0) throw syntaxError('a heredoc has no end', start)
      return {
        kind: 'string',
        text: text.slice(start, end + tag.length),
        start,
        end: end + tag.length,
      }
    }
  }
  const number = matchAt(patterns.number, text, start)?.[0]
  if (number !== undefined) return { kind: 'number', text: number, start, end: start + number.length }
  const word = matchAt(patterns.word, text, start)?.[0]
  if (word !== undefined) return { kind: 'word', text: word.toLowerCase(), start, end: start + word.length }
  return { kind: 'mark', text: first, start, end: start + 1 }
}

function quotedToken(
  text: string,
  options: { start: number; quote: { close: string; kind: 'string' | 'quoted' } },
): Token {
  const { start, quote } = options
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '\\') at++
    else if (char === quote.close) {
      if (text.charAt(at + 1) === quote.close) at++
      else return { kind: quote.kind, text: text.slice(start + 1, at), start, end: at + 1 }
    }
  }
  throw syntaxError('a quote has no end', start)
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function syntaxError(what: string, at: number): Error {
  return failure('SYNTAX_ERROR', `Syntax error: ${what}, at position ${at + 1}.`)
}
