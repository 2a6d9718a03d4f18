/**
 * Finds every function of a source: declarations, methods, accessors, arrow functions with a block or an
 * expression, wherever they stand. It reads forward from the parameters, because what follows them (a type, an
 * arrow, a block) says what they belong to.
 */
import { matchBrackets, type Token } from './tokens.ts'

export type FoundFunction = {
  name: string
  line: number
  lines: number
  /** Positional parameters; one that is destructured counts once. */
  parameters: number
}

type Reading = { tokens: readonly Token[]; pairs: Map<number, number> }

export function functionsOf(all: readonly Token[]): FoundFunction[] {
  const tokens = all.filter(({ kind }) => kind !== 'comment')
  const reading = { tokens, pairs: matchBrackets(tokens) }
  return tokens.flatMap((token, index) => {
    if (token.text !== '(' || token.kind !== 'punctuation') return []
    const found = functionAt(reading, index)
    return found === undefined ? [] : [found]
  })
}

/** The function whose parameters open at `open`, if they are parameters of one with a body. */
function functionAt(reading: Reading, open: number): FoundFunction | undefined {
  const { tokens, pairs } = reading
  const close = pairs.get(open)
  if (close === undefined) return undefined
  const owner = ownerOf(reading, open)
  let after = close + 1
  if (tokens[after]?.text === ':' && (owner.isFunction || owner.mayBeArrow))
    after = skipType(reading, after + 1)
  const isArrow = tokens[after]?.text === '=>' && owner.mayBeArrow
  if (isArrow) after++
  else if (!owner.isFunction || tokens[after]?.text !== '{') return undefined
  const end = isArrow && tokens[after]?.text !== '{' ? expressionEnd(reading, after) : pairs.get(after)
  const last = tokens[end ?? after]
  const first = tokens[owner.start]
  if (first === undefined || last === undefined) return undefined
  return {
    name: owner.name,
    line: first.line,
    lines: last.endLine - first.line + 1,
    parameters: countParameters(reading, open, close),
  }
}

type Owner = { name: string; start: number; isFunction: boolean; mayBeArrow: boolean }

const control = /^(if|for|while|switch|catch|with|await|return|super|new|typeof|in|of|case|throw)$/
const modifiers = /^(async|get|set|static|public|private|protected|override|readonly|\*)$/

/** What stands before the parameters: a function's or a method's name, or what an arrow function is given to. */
function ownerOf({ tokens, pairs }: Reading, open: number): Owner {
  let at = open - 1
  if (tokens[at]?.text === '>') at = skipBack(tokens, at)
  const name = tokens[at]
  if (name?.text === 'function' || tokens[at - 1]?.text === 'function' || tokens[at - 2]?.text === 'function')
    return {
      name: name?.text === 'function' ? 'a function' : (name?.text ?? ''),
      start: at,
      isFunction: true,
      mayBeArrow: false,
    }
  const isNamed =
    (name?.kind === 'word' || name?.kind === 'string' || name?.text === ']') &&
    !(control.test(name.text) || name.text === 'async')
  if (!isNamed)
    return { ...arrowOwner(tokens, open), isFunction: false, mayBeArrow: !control.test(name?.text ?? '') }
  const nameStart = name.text === ']' ? (pairs.get(at) ?? at) : at
  let before = nameStart - 1
  while (modifiers.test(tokens[before]?.text ?? '')) before--
  const previous = tokens[before]
  const startsMember =
    previous === undefined ||
    /^[{},;]$/.test(previous.text) ||
    previous.line < (tokens[before + 1]?.line ?? 0)
  const isMember = startsMember && !/^(\.|\?\.|=>|\?|:|=|&&|\|\||\?\?|\()$/.test(previous?.text ?? '')
  return { name: name.text, start: nameStart, isFunction: isMember, mayBeArrow: false }
}

/** `const name = (…) =>`, `name: (…) =>`, or nothing that gives it a name. */
function arrowOwner(tokens: readonly Token[], open: number): { name: string; start: number } {
  let at = open - 1
  if (tokens[at]?.text === '>') at = skipBack(tokens, at)
  if (tokens[at]?.text === 'async') at--
  if (tokens[at]?.text === '=' || tokens[at]?.text === ':') {
    const line = tokens[at]?.line
    const declared = tokens.findLastIndex(
      (token, index) =>
        index < at && token.line === line && /^(const|let|var)$/.test(tokens[index - 1]?.text ?? ''),
    )
    const name = declared === -1 ? at - 1 : declared
    if (tokens[name]?.kind === 'word') return { name: tokens[name].text, start: name }
  }
  return { name: 'an arrow function', start: open }
}

/** From the closing `>` of type parameters to what stands before their `<`. */
function skipBack(tokens: readonly Token[], close: number): number {
  let depth = 0
  for (let at = close; at >= 0; at--) {
    if (tokens[at]?.text === '>') depth++
    if (tokens[at]?.text === '<') depth--
    if (depth === 0) return at - 1
  }
  return close
}

/** The place after the type that begins at `at`. */
function skipType({ tokens, pairs }: Reading, from: number): number {
  let at = from
  for (;;) {
    while (/^(asserts|keyof|readonly|typeof|unique|infer|new|abstract|\||&)$/.test(tokens[at]?.text ?? ''))
      at++
    const closing = pairs.get(at)
    const isParenthesised = tokens[at]?.text === '('
    at = closing !== undefined && closing > at ? closing + 1 : at + 1
    if (isParenthesised && tokens[at]?.text === '=>' && tokens[at + 1]?.text !== '{') {
      at++
      continue
    }
    for (;;) {
      if (tokens[at]?.text === '.') at += 2
      else if (tokens[at]?.text === '<') at = skipForward(tokens, at)
      else if (tokens[at]?.text === '[' && tokens[at]?.line === tokens[at - 1]?.endLine)
        at = (pairs.get(at) ?? at) + 1
      else break
    }
    if (!/^(\||&|is)$/.test(tokens[at]?.text ?? '')) return at
    at++
  }
}

function skipForward(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.text === '<') depth++
    if (tokens[at]?.text === '>') depth--
    if (depth === 0) return at + 1
  }
  return open + 1
}

/** The last token of an arrow's expression: it ends where a bracket around it closes, at a comma or at a line that is not indented deeper. */
function expressionEnd({ tokens, pairs }: Reading, from: number): number {
  const firstOfLine = (index: number): number => {
    let at = index
    while (at > 0 && tokens[at - 1]?.endLine === tokens[index]?.line) at--
    return at
  }
  const arrowLine = tokens[from - 1]?.line ?? 0
  let at = from
  while (at < tokens.length) {
    const closing = pairs.get(at)
    if (closing !== undefined && closing < at) return at - 1
    if (/^[,;]$/.test(tokens[at]?.text ?? '')) return at - 1
    const isNewLine = at > from && firstOfLine(at) === at && (tokens[at]?.line ?? 0) > arrowLine
    if (isNewLine && startsStatement(tokens[at])) return at - 1
    at = closing !== undefined && closing > at ? closing + 1 : at + 1
  }
  return tokens.length - 1
}

function startsStatement(token: Token | undefined): boolean {
  return (
    token !== undefined &&
    (token.kind === 'word'
      ? !/^(as|satisfies|instanceof|in|of|extends)$/.test(token.text)
      : /^[{]$/.test(token.text))
  )
}

function countParameters({ tokens, pairs }: Reading, open: number, close: number): number {
  let count = close > open + 1 ? 1 : 0
  for (let at = open + 1; at < close; at++) {
    const closing = pairs.get(at)
    if (closing !== undefined && closing > at) at = closing
    else if (tokens[at]?.text === '<') at = skipForward(tokens, at) - 1
    else if (tokens[at]?.text === ',' && at < close - 1) count++
  }
  return count
}
