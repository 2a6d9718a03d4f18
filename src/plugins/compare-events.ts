/** What a plugin has made of an event: each value that is new, gone or another, by its path. */

export type Change =
  | { kind: 'added'; path: string; after: unknown }
  | { kind: 'removed'; path: string; before: unknown }
  | { kind: 'changed'; path: string; before: unknown; after: unknown }

/** Both are values of JSON. In the order of the keys before, new ones last. */
export function compareEvents(before: unknown, after: unknown, path = ''): Change[] {
  const left = partsOf(before)
  const right = partsOf(after)
  if (left === undefined || right === undefined || Array.isArray(before) !== Array.isArray(after))
    return before === after ? [] : [{ kind: 'changed', path, before, after }]
  const keys = new Set([...left.keys(), ...right.keys()])
  return [...keys].flatMap((key): Change[] => {
    const below = Array.isArray(before) ? `${path}[${key}]` : join(path, key)
    if (!right.has(key)) return [{ kind: 'removed', path: below, before: left.get(key) }]
    if (!left.has(key)) return [{ kind: 'added', path: below, after: right.get(key) }]
    return compareEvents(left.get(key), right.get(key), below)
  })
}

function partsOf(value: unknown): Map<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined
}

function join(path: string, key: string): string {
  if (!/^[\w$-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}
