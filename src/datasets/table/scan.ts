/** Cuts text that ClickHouse has formatted, minding quotes and brackets. */
type Mark = { at: number; text: string }

/** Quoted pieces, brackets, and everything else a character or a word at a time. */
const pieceForm =
  /'(?:[^'\\]|\\[\s\S]|'')*'|`(?:[^`\\]|\\[\s\S])*`|"(?:[^"\\]|\\[\s\S])*"|[()[\]{}]|\w+|[^\w]/g

/** The pieces outside of all brackets and quotes. */
function* outside(text: string): Generator<Mark> {
  let depth = 0
  for (const { 0: piece, index } of text.matchAll(pieceForm)) {
    if (piece === '(' || piece === '[' || piece === '{') depth++
    else if (piece === ')' || piece === ']' || piece === '}') depth--
    else if (depth === 0) yield { at: index, text: piece }
  }
}

export function splitList(text: string): string[] {
  const parts: string[] = []
  let from = 0
  for (const { at, text: piece } of outside(text)) {
    if (piece !== ',') continue
    parts.push(text.slice(from, at).trim())
    from = at + 1
  }
  const last = text.slice(from).trim()
  return last === '' ? parts : [...parts, last]
}

/** What stands before and behind the last `word` outside of brackets; all of it before where there is none. */
export function cutAtLast(text: string, word: string): { before: string; behind: string | undefined } {
  let found = -1
  for (const { at, text: piece } of outside(text)) if (piece === word) found = at
  if (found < 0) return { before: text.trim(), behind: undefined }
  return { before: text.slice(0, found).trim(), behind: text.slice(found + word.length).trim() }
}

/** The inside of the first pair of round brackets, or nothing. */
export function firstBrackets(text: string): string | undefined {
  let depth = 0
  let from = -1
  for (const { 0: piece, index } of text.matchAll(pieceForm)) {
    if (piece === '(' && depth++ === 0 && from < 0) from = index + 1
    if (piece === ')' && --depth === 0) return text.slice(from, index)
  }
  return undefined
}

/** Without round brackets around the whole of it: whether an expression keeps them depends on how it was given. */
export function unbracketed(text: string): string {
  const inside = text.startsWith('(') ? firstBrackets(text) : undefined
  return inside !== undefined && inside.length === text.length - 2 ? unbracketed(inside) : text
}
