/**
 * JSON as it is written: keys that stand there twice, numbers beyond every range and half surrogate pairs are
 * kept. What is in brackets is a list of items, everything else is text.
 */
export type JsonNode = string | JsonList
export type JsonList = { open: '{' | '['; items: JsonItem[] }
/** `key` is the text of the key, quotes included. */
export type JsonItem = { key: string | undefined; value: JsonNode }

const token = /\s*("(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+)\s*/y

/** Undefined for a text whose brackets, commas and colons are not those of JSON. */
export function readSyntax(text: string): JsonNode | undefined {
  const reader = new SyntaxReader(text)
  const node = reader.node(0)
  return reader.isAtEnd ? node : undefined
}

export function writeSyntax(node: JsonNode): string {
  if (typeof node === 'string') return node
  const items = node.items.map(({ key, value }) => (key === undefined ? '' : `${key}:`) + writeSyntax(value))
  return node.open + items.join(',') + (node.open === '{' ? '}' : ']')
}

/** Deeper ones are taken as bytes. */
const depthMax = 500

class SyntaxReader {
  readonly #tokens: string[] = []
  #at = 0

  constructor(text: string) {
    for (let from = 0; from < text.length; from = token.lastIndex) {
      token.lastIndex = from
      const found = token.exec(text)?.[1]
      this.#tokens.push(found ?? '')
      if (found === undefined) break
    }
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length
  }

  node(depth: number): JsonNode | undefined {
    const next = this.#tokens[this.#at++] ?? ''
    if (next === '{' || next === '[') return depth > depthMax ? undefined : this.#list(next, depth)
    return next === '' || /^[}\],:]$/.test(next) ? undefined : next
  }

  #list(open: '{' | '[', depth: number): JsonList | undefined {
    const items: JsonItem[] = []
    const close = open === '{' ? '}' : ']'
    if (this.#take(close)) return { open, items }
    do {
      const key = open === '{' ? this.#tokens[this.#at++] : undefined
      if (open === '{' && !(key?.startsWith('"') === true && this.#take(':'))) return undefined
      const value = this.node(depth + 1)
      if (value === undefined) return undefined
      items.push({ key, value })
    } while (this.#take(','))
    return this.#take(close) ? { open, items } : undefined
  }

  #take(mark: string): boolean {
    if (this.#tokens[this.#at] !== mark) return false
    this.#at++
    return true
  }
}
