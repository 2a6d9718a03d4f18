/**
 * Ids that come from a mistake in somebody's code rather than from a person. Merging over such an id would
 * melt strangers into one person. The lists are PostHog's.
 */
const illegalInAnyCase = [
  'anonymous',
  'guest',
  'distinctid',
  'distinct_id',
  'id',
  'not_authenticated',
  'email',
  'undefined',
  'true',
  'false',
]
const illegalAsWritten = ['[object Object]', 'NaN', 'None', 'none', 'null', '0', 'undefined']

const anyCase = withQuotes(illegalInAnyCase)
const asWritten = withQuotes(illegalAsWritten)

/** The longest distinct id that is stored, in code points. */
export const distinctIdLengthMax = 400

/** Whether a merge may involve this id. PostHog refuses what cannot be stored together with what is illegal. */
export function isMergeableId(distinctId: string): boolean {
  return (
    !isIllegalId(distinctId) && !distinctId.includes('\0') && codePoints(distinctId) <= distinctIdLengthMax
  )
}

export function isIllegalId(distinctId: string): boolean {
  return distinctId.trim() === '' || anyCase.has(distinctId.toLowerCase()) || asWritten.has(distinctId)
}

/** The id as PostgreSQL can hold it: no NUL, no half of a surrogate pair. */
export function storableId(distinctId: string): string {
  const wellFormed = distinctId.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed
}

/**
 * What JavaScript's `String` makes of a JSON value, safe from an object whose `toString` is data. An object
 * becomes a text that is an illegal id.
 */
export function textOf(value: unknown): string {
  if (Array.isArray(value) && value.every((inner) => typeof inner !== 'object')) return value.join(',')
  return typeof value === 'object' && value !== null ? '[object Object]' : String(value)
}

export function codePoints(text: string): number {
  if (text.length <= distinctIdLengthMax) return text.length
  let count = 0
  for (const _ of text) count++
  return count
}

function withQuotes(ids: readonly string[]): ReadonlySet<string> {
  return new Set(ids.flatMap((id) => [id, `'${id}'`, `"${id}"`]))
}
