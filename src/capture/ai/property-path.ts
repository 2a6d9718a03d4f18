/** Where in an event's properties a blob belongs: `$ai_input`, `$ai_input[0].content`, `a.b[2]`. */
export type PropertyPath = readonly [string, ...(string | number)[]]

/** Arrays are filled up to the index with nulls, so it is bounded. */
const indexMax = 999
const segmentsMax = 32

/** `undefined` where the text is no path. */
export function parsePropertyPath(text: string): PropertyPath | undefined {
  const whole = /^[^.[\]]+(?:\.[^.[\]]+|\[\d{1,3}\])*$/.exec(text)
  if (whole === null) return undefined
  const [first, ...rest] = text.match(/[^.[\]]+|\[\d+\]/g) ?? []
  if (first === undefined || rest.length >= segmentsMax) return undefined
  return [first, ...rest.map((segment) => (segment.startsWith('[') ? Number(segment.slice(1, -1)) : segment))]
}

/** Puts `value` at the path, making objects and arrays on the way and replacing what is in it. */
export function setAtPath(properties: Record<string, unknown>, path: PropertyPath, value: unknown): void {
  let holder: Record<string, unknown> | unknown[] = properties
  for (const [index, segment] of path.entries()) {
    const next = path[index + 1]
    if (next === undefined) {
      put(holder, segment, value)
      return
    }
    const child = childFor(take(holder, segment), next)
    put(holder, segment, child)
    holder = child
  }
}

/** What is there, if the next segment fits it; otherwise a new object or array. */
function childFor(present: unknown, next: string | number): Record<string, unknown> | unknown[] {
  if (typeof next === 'number') return Array.isArray(present) ? present : []
  return isRecord(present) ? present : {}
}

function take(holder: Record<string, unknown> | unknown[], segment: string | number): unknown {
  if (Array.isArray(holder)) return typeof segment === 'number' ? holder[segment] : undefined
  return Object.hasOwn(holder, segment) ? holder[segment] : undefined
}

function put(holder: Record<string, unknown> | unknown[], segment: string | number, value: unknown): void {
  if (!Array.isArray(holder)) {
    Object.defineProperty(holder, segment, { value, enumerable: true, configurable: true, writable: true })
    return
  }
  if (typeof segment !== 'number' || segment > indexMax) return
  while (holder.length < segment) holder.push(null)
  holder[segment] = value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
