/**
 * Properties between JavaScript and PostgreSQL's jsonb, which refuses two things that JSON allows: NUL and
 * half a surrogate pair. Both become U+FFFD, in keys too, as PostHog does it.
 */
export type Properties = Readonly<Record<string, unknown>>

/** JSON writes both troublemakers as escapes, so one look at the text says whether the slow way is needed. */
const suspect = /\\u(?:0000|d[89a-f])/i

/** Properties as jsonb accepts them, with their text. */
export function toJsonb(properties: Properties): { properties: Properties; text: string } {
  const text = JSON.stringify(properties)
  if (!suspect.test(text)) return { properties, text }
  const clean = cleanObject(properties)
  return { properties: clean, text: JSON.stringify(clean) }
}

/** Whether two JSON values mean the same; the order of keys means nothing. */
export function isSameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
    return left.every((value, index) => isSameJson(value, right[index]))
  }
  const entries = Object.entries(left)
  if (entries.length !== Object.keys(right).length) return false
  const other = new Map<string, unknown>(Object.entries(right))
  return entries.every(([key, value]) => other.has(key) && isSameJson(value, other.get(key)))
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The own value of a key: never what an object inherits. */
export function ownValue(properties: Properties, key: string): unknown {
  return Object.hasOwn(properties, key) ? properties[key] : undefined
}

function cleanObject(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [cleanText(key), cleanValue(inner)]))
}

function cleanValue(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleanValue)
  return isRecord(value) ? cleanObject(value) : value
}

function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD')
}
