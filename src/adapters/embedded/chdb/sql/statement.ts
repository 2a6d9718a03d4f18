/**
 * What a request's text asks for: a read, an INSERT with data, or another statement. One request holds one
 * statement. The data of an INSERT is never looked at as SQL.
 */
import { failure } from '../failure.ts'
import { lex, type Token } from './lexer.ts'

export type Statement = ReadStatement | InsertStatement | OtherStatement

/** Answers rows. `format` is the one it names itself. */
export type ReadStatement = {
  kind: 'read'
  /** Appends the answer to a file, in `format` unless the statement names one. */
  into(path: string, format: string): string
  format: string | undefined
  text: string
  tokens: readonly Token[]
}

/** Takes data. `dataStart` is where it begins in the text. */
export type InsertStatement = {
  kind: 'insert'
  from(path: string): string
  format: string
  dataStart: number
  tokens: readonly Token[]
}

/** Anything else, INSERT … SELECT among it. */
export type OtherStatement = { kind: 'other'; verb: string; text: string; tokens: readonly Token[] }

const readVerbs = new Set(['select', 'with', 'from', 'show', 'describe', 'desc', 'explain', 'exists'])

/**
 * Reads `text`, which may be only the beginning of a request when `isWhole` is false; that is allowed for an
 * INSERT with data alone. Throws SYNTAX_ERROR for several statements or none.
 */
export function parseStatement(text: string, options: { isWhole: boolean } = { isWhole: true }): Statement {
  const tokens: Token[] = []
  const insert = createInsertHead()
  for (const token of lex(text)) {
    tokens.push(token)
    const head = insert.next(token)
    if (head !== undefined) return insertStatement(text, { tokens, ...head })
  }
  if (!options.isWhole)
    throw failure(
      'SYNTAX_ERROR',
      'Syntax error: Max query size exceeded. Only the data of an INSERT may be longer.',
    )
  return wholeStatement(text, tokens)
}

function wholeStatement(text: string, all: readonly Token[]): ReadStatement | OtherStatement {
  const end = all.findIndex((token) => isMark(token, ';'))
  const tokens = end < 0 ? all : all.slice(0, end)
  if (end >= 0 && all.slice(end).some((token) => !isMark(token, ';')))
    throw failure('SYNTAX_ERROR', 'Syntax error: Multi-statements are not allowed.')
  const first = tokens.find((token) => !isMark(token, '('))
  const last = tokens.at(-1)
  if (first === undefined || last === undefined) throw failure('SYNTAX_ERROR', 'Syntax error: Empty query.')
  const trimmed = text.slice(0, last.end)
  const verb = first.kind === 'word' ? first.text : ''
  const writes = verb === 'with' && outermost(tokens).some((token) => isWord(token, 'insert'))
  if (!readVerbs.has(verb) || writes)
    return { kind: 'other', verb: writes ? 'insert' : verb, text: trimmed, tokens }
  const format = formatOf(text, tokens)
  return {
    kind: 'read',
    format: format?.name,
    text: trimmed,
    tokens,
    into(path, fallback) {
      const target = `\nINTO OUTFILE ${path} APPEND\n`
      if (format === undefined) return `${trimmed}${target}FORMAT ${fallback}`
      return `${trimmed.slice(0, format.start)}${target}${trimmed.slice(format.start)}`
    },
  }
}

/** The FORMAT clause at the end of a read. */
function formatOf(text: string, tokens: readonly Token[]): { name: string; start: number } | undefined {
  const outer = outermost(tokens)
  for (let at = outer.length - 2; at > 0; at--) {
    const name = outer[at + 1]
    const word = outer[at]
    if (word === undefined || name === undefined || !isWord(word, 'format')) continue
    const after = outer[at + 2]
    const isClause = name.kind !== 'mark' && (after === undefined || isWord(after, 'settings'))
    return isClause ? { name: text.slice(name.start, name.end), start: word.start } : undefined
  }
  return undefined
}

type InsertHead = {
  /** Where FROM INFILE goes. */
  clauseAt: number
  /** Where VALUES or FORMAT begins. */
  formatAt: number
  formatName: Token | undefined
  /** The place of `input(` of an INSERT … SELECT FROM input(…). */
  input: Token | undefined
}

/** Follows the tokens of a request and answers once its head as an INSERT with data is complete. */
function createInsertHead(): { next(token: Token): InsertHead | undefined } {
  let count = 0
  let depth = 0
  let isInsert = false
  let isSelect = false
  let settingsAt: number | undefined
  let format: Token | undefined
  let input: Token | undefined
  let previous: Token | undefined
  return {
    next(token) {
      const before = previous
      previous = token
      if (++count === 1) isInsert = isWord(token, 'insert')
      if (!isInsert || token.kind === 'string') return undefined
      if (isMark(token, '(') && before !== undefined && isWord(before, 'input')) input = before
      if (isMark(token, '(')) depth++
      else if (isMark(token, ')')) depth--
      if (depth > 0) return undefined
      if (format !== undefined) {
        const formatAt = format.start
        return { clauseAt: settingsAt ?? formatAt, formatAt, formatName: token, input }
      }
      const isName = before !== undefined && ['into', 'table', 'function', '.'].includes(before.text)
      if (token.kind !== 'word' || (isName && token.text !== 'table' && token.text !== 'function'))
        return undefined
      if (token.text === 'select' || token.text === 'with') isSelect = true
      else if (token.text === 'settings') settingsAt ??= token.start
      else if (token.text === 'format' && (!isSelect || input !== undefined)) format = token
      else if (token.text === 'values' && !isSelect)
        return { clauseAt: settingsAt ?? token.start, formatAt: token.start, formatName: undefined, input }
      return undefined
    },
  }
}

function insertStatement(text: string, head: InsertHead & { tokens: readonly Token[] }): InsertStatement {
  const { formatName, input, tokens } = head
  const format = formatName === undefined ? 'Values' : text.slice(formatName.start, formatName.end)
  if (!/^\w+$/.test(format)) throw failure('SYNTAX_ERROR', 'Syntax error: FORMAT needs the name of a format.')
  const headEnd = tokens.at(-1)?.end ?? 0
  const gap = formatName === undefined ? '' : (/^[ \t\f]*\r?\n?/.exec(text.slice(headEnd))?.[0] ?? '')
  return {
    kind: 'insert',
    format,
    dataStart: headEnd + gap.length,
    tokens,
    from(path) {
      if (input !== undefined) return insertFromInput(text, { path, format, input, end: head.formatAt })
      const clauses = text.slice(head.clauseAt, head.formatAt)
      return `${text.slice(0, head.clauseAt)}\nFROM INFILE ${path}\n${clauses}\nFORMAT ${format}`
    },
  }
}

/** `INSERT … SELECT … FROM input('structure') FORMAT x`: the same with `file(path, x, 'structure')`. */
function insertFromInput(
  text: string,
  options: { path: string; format: string; input: Token; end: number },
): string {
  const { path, format, input, end } = options
  const open = text.indexOf('(', input.end)
  return `${text.slice(0, input.start)}file(${path}, ${format}, ${text.slice(open + 1, end)}`
}

/** The tokens outside of all parentheses. */
export function outermost(tokens: readonly Token[]): Token[] {
  let depth = 0
  const outer: Token[] = []
  for (const token of tokens) {
    if (isMark(token, ')') || isMark(token, ']') || isMark(token, '}')) depth--
    if (depth === 0) outer.push(token)
    if (isMark(token, '(') || isMark(token, '[') || isMark(token, '{')) depth++
  }
  return outer
}

export function isWord(token: Token, word: string): boolean {
  return token.kind === 'word' && token.text === word
}

export function isMark(token: Token, mark: string): boolean {
  return token.kind === 'mark' && token.text === mark
}
