/** A YAML text as a value, and where in the text each part of the value stands. */
import { isMap, isNode, isScalar, LineCounter, type Pair, parseDocument } from 'yaml'

/** What is wrong at a path of the value. `isKey`: the key itself is meant, not what stands behind it. */
export type Finding = { path: readonly PropertyKey[]; message: string; isKey?: boolean }

export type YamlText = {
  value: unknown
  /** Mistakes of the YAML itself, as `line:column: sentence`; then there is no value. */
  errors: string[]
  /** `line:column` of a path, or of the nearest thing around it that exists. Both count from 1. */
  placeOf: (finding: Pick<Finding, 'path' | 'isKey'>) => string
}

export function readYamlText(text: string): YamlText {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true })
  const place = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset)
    return `${line}:${col}`
  }
  const errors = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${place(pos[0])}: ${sentence(message)}`,
  )
  if (errors.length > 0) return { value: undefined, errors, placeOf: () => '1:1' }
  return {
    value: document.toJS({ maxAliasCount: 100 }),
    errors,
    placeOf: ({ path, isKey }) => place(offsetOf(document.contents, path, isKey === true)),
  }
}

function offsetOf(root: unknown, path: readonly PropertyKey[], isKey: boolean): number {
  let node = root
  let offset = startOf(root) ?? 0
  for (const [depth, key] of path.entries()) {
    const pair = isMap(node) ? node.items.find((item) => keyOf(item) === String(key)) : undefined
    const child: unknown = pair === undefined ? childOf(node, key) : pair.value
    const isLast = depth === path.length - 1
    const found = isLast && isKey ? startOf(pair?.key) : (startOf(child) ?? startOf(pair?.key))
    if (found === undefined) return offset
    offset = found
    node = child
  }
  return offset
}

function childOf(node: unknown, key: PropertyKey): unknown {
  if (node !== null && typeof node === 'object' && 'items' in node && Array.isArray(node.items))
    return (node.items as unknown[])[Number(key)]
  return undefined
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

function sentence(text: string): string {
  const first = text.split('\n')[0] ?? text
  return first.endsWith('.') ? first : `${first}.`
}
