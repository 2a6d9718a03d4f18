/** A source file as the tidy rules see it: its lines, its code without comments and texts, its imports and functions. */
import { posix } from 'node:path'
import { type FoundFunction, functionsOf } from './functions.ts'
import { codeLines, type Token, tokenize } from './tokens.ts'

export type Import = {
  /** A path from the repository's root, or a package's name. */
  target: string
  isRelative: boolean
  /** Erased before the program runs. `import { type A }` is not: the file is still loaded. */
  isTypeOnly: boolean
}

export type SourceFile = {
  path: string
  text: string
  lines: string[]
  /** Lines with comments and the insides of strings, templates and regular expressions blanked. */
  code: string[]
  comments: { line: number; text: string }[]
  imports: Import[]
  functions: FoundFunction[]
}

/** Reads `text` as the file `path`, which is relative to the repository's root and need not exist. */
export function createSource(path: string, text: string): SourceFile {
  const tokens = tokenize(text)
  return {
    path,
    text,
    lines: text.replace(/\n$/, '').split('\n'),
    code: codeLines(text, tokens),
    comments: tokens.filter(({ kind }) => kind === 'comment'),
    imports: importsOf(path, tokens),
    functions: functionsOf(tokens),
  }
}

function importsOf(path: string, all: readonly Token[]): Import[] {
  const tokens = all.filter(({ kind }) => kind !== 'comment')
  const found: Import[] = []
  const add = (specifier: Token | undefined, isTypeOnly: boolean): void => {
    if (specifier?.kind !== 'string') return
    const name = specifier.text.slice(1, -1)
    const isRelative = name.startsWith('.')
    const target = isRelative ? posix.join(posix.dirname(path), name) : name
    found.push({ target, isRelative, isTypeOnly })
  }
  for (const [index, { text, kind }] of tokens.entries()) {
    if (kind !== 'word') continue
    const previous = tokens[index - 1]?.text ?? ''
    if ((text === 'import' || text === 'export') && previous !== '.')
      add(specifierAfter(tokens, index), isErased(tokens, index, previous))
    if (text === 'URL' && previous === 'new' && tokens[index + 2]?.text.endsWith(".ts'") === true)
      add(tokens[index + 2], false)
  }
  return found
}

/** The quoted name of `import 'a'`, `import('a')`, `import x from 'a'` and `export … from 'a'`. */
function specifierAfter(tokens: readonly Token[], index: number): Token | undefined {
  if (tokens[index]?.text === 'import') {
    if (tokens[index + 1]?.kind === 'string') return tokens[index + 1]
    if (tokens[index + 1]?.text === '(') return tokens[index + 2]
  }
  for (let at = index + 1; at < tokens.length; at++) {
    const { text, kind } = tokens[at] ?? { text: '', kind: 'punctuation' }
    if (text === 'from' && tokens[at + 1]?.kind === 'string') return tokens[at + 1]
    if (kind !== 'word' && !/^[{},*]$/.test(text)) return undefined
    if (/^(const|let|function|class|async|default|interface|import|export)$/.test(text)) return undefined
  }
  return undefined
}

/** `import type …`, `export type …`, and `import('…')` where a type stands. */
function isErased(tokens: readonly Token[], index: number, previous: string): boolean {
  if (tokens[index + 1]?.text === '(') return /^(:|<|\||&|typeof|keyof)$/.test(previous)
  return tokens[index + 1]?.text === 'type' && tokens[index + 2]?.text !== 'from'
}
