/**
 * Just enough of ClickHouse's language to check an expression without asking ClickHouse: whether it is one
 * whole piece, and which columns it names.
 */
type Token = { kind: 'word' | 'name' | 'text' | 'mark'; text: string }

/** In this order: comment, text, name in quotes, word with dots, number, mark. */
const tokenForm =
  /(--[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^'\\]|\\[\s\S]|'')*')|(`(?:[^`\\]|\\[\s\S])*`|"(?:[^"\\]|\\[\s\S])*")|([A-Za-z_$][\w$]*(?:\.(?:[A-Za-z_$][\w$]*|`[^`]*`))*)|(\d[\w.]*)|(->|::|[^\s])/gy

const pairs: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** What keeps an expression from standing where it is put, as a piece of a sentence. */
export function findFault(expression: string): string | undefined {
  const tokens = tokensOf(expression)
  if (typeof tokens === 'string') return tokens
  const open: string[] = []
  for (const { kind, text } of tokens) {
    if (kind !== 'mark') continue
    if (text === ';') return 'holds a semicolon'
    const closing = pairs[text]
    if (closing !== undefined) open.push(closing)
    else if (text === ')' || text === ']' || text === '}') {
      if (open.pop() !== text) return `has a ${text} that closes nothing`
    } else if (text === ',' && open.length === 0) return 'has a comma outside of brackets'
  }
  return open.length > 0 ? `lacks a ${open.at(-1)}` : undefined
}

const keywords =
  wordSet(`and or not in is null like ilike between case when then else end true false as interval div mod
  distinct delete where to disk volume recompress codec group by set asc desc global nan inf infinity`)

/** Words behind `INTERVAL 30`; elsewhere they may be columns. */
const intervalUnits = wordSet(`second minute hour day week month quarter year
  seconds minutes hours days weeks months quarters years`)

/** The columns that an expression seems to name: its words that are no keyword, function, type or argument of a lambda. */
export function namesIn(expression: string): string[] {
  const tokens = tokensOf(expression)
  if (typeof tokens === 'string') return []
  const bound = boundNames(tokens)
  const hasInterval = tokens.some(({ text }) => /^interval$/i.test(text))
  const isKeyword = ({ text }: Token) =>
    keywords.has(text.toLowerCase()) || (hasInterval && intervalUnits.has(text.toLowerCase()))
  const names = new Set<string>()
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined) break
    if (isCast(token)) {
      at = endOfType(tokens, at + 1)
      continue
    }
    if (token.kind === 'name') names.add(unquoted(token.text))
    else if (token.kind === 'word' && tokens[at + 1]?.text !== '(' && !isKeyword(token))
      names.add(token.text.replaceAll('`', ''))
  }
  return [...names].filter((name) => !bound.has(name))
}

function wordSet(words: string): ReadonlySet<string> {
  return new Set(words.split(/\s+/))
}

function isCast({ kind, text }: Token): boolean {
  return text === '::' || (kind === 'word' && /^as$/i.test(text))
}

/** Index of the last token of a type that begins at `at`. */
function endOfType(tokens: readonly Token[], at: number): number {
  if (tokens[at + 1]?.text !== '(') return at
  let depth = 0
  for (let index = at + 1; index < tokens.length; index++) {
    if (tokens[index]?.text === '(') depth++
    if (tokens[index]?.text === ')' && --depth === 0) return index
  }
  return tokens.length
}

/** Arguments of lambdas: `x -> …` and `(k, v) -> …`. */
function boundNames(tokens: readonly Token[]): ReadonlySet<string> {
  const bound = new Set<string>()
  for (const [at, { text }] of tokens.entries()) {
    if (text !== '->') continue
    for (let index = at - 1; index >= 0; index--) {
      const before = tokens[index]
      if (before === undefined || before.text === '(') break
      if (before.kind === 'word') bound.add(before.text)
      if (tokens[at - 1]?.text !== ')') break
    }
  }
  return bound
}

function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll(/\\([\s\S])/g, '$1')
}

function tokensOf(expression: string): Token[] | string {
  const tokens: Token[] = []
  const spaceless = /\s*/y
  let at = 0
  while (at < expression.length) {
    spaceless.lastIndex = at
    spaceless.test(expression)
    at = spaceless.lastIndex
    if (at >= expression.length) break
    tokenForm.lastIndex = at
    const found = tokenForm.exec(expression)
    if (found === null) return 'cannot be read'
    const [all, comment, text, name, word, number] = found
    if (comment !== undefined) return 'holds a comment'
    if (text === undefined && name === undefined && /^['"`]/.test(all)) return `lacks a closing ${all}`
    const kind =
      text !== undefined || number !== undefined
        ? 'text'
        : name !== undefined
          ? 'name'
          : word !== undefined
            ? 'word'
            : 'mark'
    tokens.push({ kind, text: all })
    at = tokenForm.lastIndex
  }
  return tokens
}
