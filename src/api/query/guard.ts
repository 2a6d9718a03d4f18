/**
 * What a person's SQL may not say, whatever the warehouse would make of it. The filters of `isolation.ts` hold
 * below the query; this closes the ways around them:
 *
 * - PREWHERE runs before those filters, and what it throws tells about other projects' rows;
 * - other databases, `system` among them, and functions that read tables without the filters;
 * - SETTINGS: ClickHouse's own read-only mode does not look at those of subqueries, and one of them is the filter;
 * - statements that are no reads, a second statement, another output format, names given as parameters.
 *
 * The text is cut into tokens as ClickHouse does it. What could be read in two ways is refused.
 */
import { Problem } from '../problem.ts'

export type Token = { kind: 'word' | 'quoted' | 'text' | 'mark'; text: string; at: number }

export type GuardNames = {
  /** Lower case. */
  tableFunctions: ReadonlySet<string>
  database: string
  databases: ReadonlySet<string>
}

/** Table functions that make rows or wrap a query. */
const harmless = new Set([
  ...['numbers', 'numbers_mt', 'zeros', 'zeros_mt', 'generate_series', 'generateseries', 'generaterandom'],
  ...['values', 'null', 'view', 'format', 'primes'],
])
const bypasses =
  /^(dictget\w*|dicthas|dictisin|joinget\w*|file|catboostevaluate|executable|getserversetting|merge|remote\w*|cluster\w*|url\w*|mergetree\w*|loop|dictionary|fuzzquery)$/
const beginnings = new Set(['select', 'with', 'from', 'describe', 'desc'])
const explained = new Set(['syntax', 'ast', 'query'])

/** Throws a problem that says what is not allowed and where. */
export function guardQuery(sql: string, names: GuardNames): void {
  const tokens = tokenize(sql)
  while (tokens.at(-1)?.text === ';') tokens.pop()
  const first = tokens[0]
  if (first === undefined) throw refusal(sql, 0, 'The query is empty.')
  if (!isRead(tokens))
    throw refusal(
      sql,
      first.at,
      'A query reads: it begins with SELECT, WITH, DESCRIBE, SHOW TABLES or EXPLAIN SYNTAX.',
    )
  let depth = 0
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'mark' && '([{'.includes(token.text)) depth += 1
    if (token.kind === 'mark' && ')]}'.includes(token.text)) depth -= 1
    const fault = faultAt(tokens, index, { names, depth })
    if (fault !== undefined) throw refusal(sql, token.at, fault)
  }
}

function isRead(tokens: readonly Token[]): boolean {
  const words = tokens.filter((token) => token.text !== '(').slice(0, 2)
  const [first, second] = words.map((token) => (token.kind === 'word' ? token.text.toLowerCase() : ''))
  if (first === undefined) return false
  if (first === 'show') return second === 'tables' && tokens.length === 2
  if (first === 'explain') return explained.has(second ?? '')
  return beginnings.has(first)
}

function faultAt(
  tokens: readonly Token[],
  index: number,
  { names, depth }: { names: GuardNames; depth: number },
): string | undefined {
  const token = tokens[index]
  const next = tokens[index + 1]
  if (token === undefined) return undefined
  if (token.text === ';' && token.kind === 'mark') return 'One query at a time.'
  if (token.text === '{' && token.kind === 'mark')
    return tokens[index + 2]?.text === ':' && tokens[index + 3]?.text.toLowerCase() === 'identifier'
      ? 'Names of tables and columns cannot be values.'
      : undefined
  if (token.kind !== 'word' && token.kind !== 'quoted') return undefined
  const name = token.text.toLowerCase()
  if (token.kind === 'word') {
    if (name === 'prewhere') return 'PREWHERE is not allowed; use WHERE.'
    if (name === 'settings' && isSetting(next, tokens[index + 2])) return 'SETTINGS are not allowed.'
    if (name === 'into' && next?.text.toLowerCase() === 'outfile') return 'INTO OUTFILE is not allowed.'
    if (name === 'format' && depth === 0 && next?.kind === 'word')
      return 'FORMAT is not allowed: the answer is always JSON.'
  }
  if (next?.text === '.' && next.kind === 'mark' && tokens[index - 1]?.text !== '.')
    if (token.text !== names.database && names.databases.has(name))
      return `The database ${token.text} cannot be read here.`
  if (next?.text === '(' && next.kind === 'mark')
    if (bypasses.test(name) || (names.tableFunctions.has(name) && !harmless.has(name)))
      return `The function ${token.text} is not allowed.`
  return undefined
}

/** `settings a = 1`, and not a column of that name. */
function isSetting(name: Token | undefined, sign: Token | undefined): boolean {
  const isName = name?.kind === 'word' || name?.kind === 'quoted'
  return isName && sign?.kind === 'mark' && (sign.text === '=' || sign.text === '.')
}

const patterns: readonly (readonly [Token['kind'] | 'skip', RegExp])[] = [
  ['skip', /\s+/y],
  ['skip', /--[^\n]*/y],
  ['skip', /\/\*[\s\S]*?\*\//y],
  ['text', /'(?:[^'\\]|\\[\s\S]|'')*'/y],
  ['quoted', /`[^`\\]*`/y],
  ['quoted', /"[^"\\]*"/y],
  ['word', /\$?[A-Za-z_][\w$]*/y],
  ['text', /\d[\w.]*/y],
  ['mark', /[-+*/%=<>!()[\]{}.,:;?|@^&~]/y],
]

function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < sql.length) {
    if (/^(\/\/|\$\w*\$)/.test(sql.slice(at, at + 200)))
      throw refusal(sql, at, 'Comments begin with -- and strings stand in single quotes.')
    // Looked for once here: looking again from each opening would take the square of the length.
    if (sql.startsWith('/*', at) && !sql.includes('*/', at + 2))
      throw refusal(sql, at, 'A comment does not end.')
    const found = match(sql, at)
    if (found === undefined) throw refusal(sql, at, 'This cannot be read as SQL.')
    const [kind, text] = found
    if (kind === 'quoted') tokens.push({ kind, text: text.slice(1, -1), at })
    else if (kind !== 'skip') tokens.push({ kind, text, at })
    at += text.length
  }
  return tokens
}

function match(sql: string, at: number): readonly [Token['kind'] | 'skip', string] | undefined {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at
    const text = pattern.exec(sql)?.[0]
    if (text !== undefined) return [kind, text]
  }
  return undefined
}

function refusal(sql: string, offset: number, detail: string): Problem {
  const before = sql.slice(0, offset).split('\n')
  return new Problem(400, {
    type: 'validation_error',
    code: 'query_not_allowed',
    detail,
    attr: 'query',
    position: { offset, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 },
  })
}
