/**
 * A TypeScript source as tokens, by the compiler's own scanner. The scanner alone cannot tell a division from a
 * regular expression nor the end of a template's hole from a brace; what came before decides both here.
 */
import { createScanner } from 'typescript/unstable/ast/scanner'

export type Token = {
  kind: 'word' | 'punctuation' | 'string' | 'template' | 'expression' | 'number' | 'comment'
  text: string
  /** From 1. */
  line: number
  /** Of the token's last character. */
  endLine: number
  /** Its first character's place in the text. */
  start: number
}

/** All tokens in order, comments among them, without white space. */
export function tokenize(text: string): Token[] {
  const scanner = createScanner(false)
  scanner.setText(text)
  const tokens: Token[] = []
  /** One entry per open brace: whether it is the hole of a template. */
  const braces: boolean[] = []
  let line = 1
  let last: Token | undefined
  for (;;) {
    scanner.scan()
    let found = scanner.getTokenText()
    if (found === '') return tokens
    if (/^\/(?![/*])/.test(found) && !endsOperand(last)) {
      scanner.reScanSlashToken()
      found = scanner.getTokenText()
    } else if (found === '}' && braces.pop() === true) {
      scanner.reScanTemplateToken(false)
      found = scanner.getTokenText()
    }
    const kind = kindOf(found)
    if (found === '{' || (kind === 'template' && found.endsWith('${'))) braces.push(kind === 'template')
    const endLine = line + (found.split('\n').length - 1)
    if (kind !== undefined) {
      const token = { kind, text: found, line, endLine, start: scanner.getTokenStart() }
      tokens.push(token)
      if (kind !== 'comment') last = token
    }
    line = endLine
  }
}

function kindOf(text: string): Token['kind'] | undefined {
  if (/^\s/.test(text)) return undefined
  if (/^(\/\/|\/\*|#!)/.test(text)) return 'comment'
  if (/^['"]/.test(text)) return 'string'
  if (/^`/.test(text) || /^\}[\s\S]/.test(text)) return 'template'
  if (/^\/./.test(text) && text !== '/=') return 'expression'
  if (/^\.?[0-9]/.test(text)) return 'number'
  return /^[\p{ID_Start}$_#@]/u.test(text) ? 'word' : 'punctuation'
}

const wordsBeforeValues =
  /^(return|typeof|instanceof|in|of|new|delete|void|throw|case|do|else|await|yield|extends|default)$/

/** Whether a slash after this token divides. */
function endsOperand(token: Token | undefined): boolean {
  if (token === undefined) return false
  if (token.kind === 'word') return !wordsBeforeValues.test(token.text)
  if (token.kind === 'template') return token.text.endsWith('`')
  return token.kind !== 'punctuation' || /^[)\]}]$/.test(token.text)
}

/** The text with comments and the insides of strings, templates and regular expressions blanked, line by line. */
export function codeLines(text: string, tokens: readonly Token[]): string[] {
  let code = ''
  let at = 0
  const blank = (part: string): string => part.replace(/[^\n]/g, ' ')
  for (const token of tokens) {
    code += blank(text.slice(at, token.start))
    at = token.start + token.text.length
    if (token.kind === 'comment' || token.kind === 'expression') code += blank(token.text)
    else if (token.kind === 'string') code += `${token.text[0]}${blank(token.text.slice(2))}${token.text[0]}`
    else if (token.kind === 'template') code += blank(token.text)
    else code += token.text
  }
  return code.split('\n')
}

/** For each opening bracket the index of its closing one, and the other way round. A template with holes is one pair. */
export function matchBrackets(tokens: readonly Token[]): Map<number, number> {
  const pairs = new Map<number, number>()
  const open: number[] = []
  for (const [index, { text, kind }] of tokens.entries()) {
    const isTemplate = kind === 'template'
    if (kind === 'punctuation' ? /^[([{]$/.test(text) : isTemplate && /^`[\s\S]*\$\{$/.test(text))
      open.push(index)
    else if (kind === 'punctuation' ? /^[)\]}]$/.test(text) : isTemplate && /^\}[\s\S]*`$/.test(text)) {
      const opener = open.pop()
      if (opener === undefined) continue
      pairs.set(opener, index)
      pairs.set(index, opener)
    }
  }
  return pairs
}
