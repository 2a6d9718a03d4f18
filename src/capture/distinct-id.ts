export const distinctIdLengthMax = 200

/**
 * A distinct id as text, by the rules of PostHog's v0 capture: other JSON values are written as JSON with sorted
 * keys, NUL becomes U+FFFD, surrounding whitespace stays, what is longer than 200 code points is cut there.
 * Undefined where there is none: absent, null, or nothing but whitespace.
 *
 * @param text the value as it stands in the request, so that whole numbers keep all their digits.
 */
export function normalizeDistinctId(value: unknown, text?: string): string | undefined {
  const id = distinctIdText(value, text)
  return id !== undefined && id.length > distinctIdLengthMax ? cut(id) : id
}

/** The same before it is cut. */
export function distinctIdText(value: unknown, text?: string): string | undefined {
  if (value === undefined || value === null) return undefined
  let id = typeof value === 'string' ? value : stringify(value, text)
  if (id.includes('\0')) id = id.replaceAll('\0', '\uFFFD')
  return id.trim() === '' ? undefined : id
}

function stringify(value: unknown, text: string | undefined): string {
  if (typeof value === 'number' && text !== undefined && /^-?\d{1,19}$/.test(text)) return text
  return JSON.stringify(sortKeys(value))
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]))
}

function cut(id: string): string {
  let units = 0
  for (let points = 0; points < distinctIdLengthMax && units < id.length; points++)
    units += (id.codePointAt(units) ?? 0) > 0xffff ? 2 : 1
  return id.slice(0, units)
}
