/** ClickHouse's column types, as far as a comparison of values needs to look into them. */
export type ColumnType = {
  /** `Array`, `UInt64`, `DateTime64`. */
  name: string
  /** What stands in the brackets, each on its own: types, numbers, quoted texts. */
  parts: string[]
}

export function parseColumnType(text: string): ColumnType {
  const trimmed = text.trim()
  const open = trimmed.indexOf('(')
  if (open < 0) return { name: trimmed, parts: [] }
  return { name: trimmed.slice(0, open).trim(), parts: splitParts(trimmed.slice(open + 1, -1)) }
}

/** Without what changes nothing about a value: `LowCardinality`, `SimpleAggregateFunction`, and `Nullable`. */
export function bareType(type: ColumnType): ColumnType {
  const [first = '', second = ''] = type.parts
  if (type.name === 'Nullable' || type.name === 'LowCardinality') return bareType(parseColumnType(first))
  if (type.name === 'SimpleAggregateFunction') return bareType(parseColumnType(second))
  return type
}

export function isNullable(type: ColumnType): boolean {
  if (type.name === 'Nullable') return true
  return type.name === 'LowCardinality' && isNullable(parseColumnType(type.parts[0] ?? ''))
}

/** The type of an element: of an array, of a map's values, of a tuple's field by place or name. */
export function elementType(type: ColumnType, key: number | string): ColumnType | undefined {
  const bare = bareType(type)
  const [first, second] = bare.parts
  if (bare.name === 'Array' && first !== undefined) return parseColumnType(first)
  if (bare.name === 'Map' && second !== undefined) return parseColumnType(second)
  if (bare.name !== 'Tuple' && bare.name !== 'Nested') return undefined
  const fields = bare.parts.map(splitField)
  const field =
    typeof key === 'number' ? fields[key] : fields.find(({ name }) => name !== undefined && name === key)
  return field === undefined ? undefined : parseColumnType(field.type)
}

/** The fields of a tuple: `a UInt8` has a name, `UInt8` has none. */
export function splitField(text: string): { name: string | undefined; type: string } {
  const found = /^(?:`([^`]+)`|(\w+))\s+(?=[A-Za-z])(.+)$/s.exec(text.trim())
  if (found === null) return { name: undefined, type: text.trim() }
  return { name: found[1] ?? found[2], type: found[3] ?? '' }
}

function splitParts(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let isQuoted = false
  let begin = 0
  for (let at = 0; at < text.length; at++) {
    const mark = text[at]
    if (isQuoted) {
      if (mark === '\\') at++
      else if (mark === "'") isQuoted = false
    } else if (mark === "'") isQuoted = true
    else if (mark === '(') depth++
    else if (mark === ')') depth--
    else if (mark === ',' && depth === 0) {
      parts.push(text.slice(begin, at).trim())
      begin = at + 1
    }
  }
  const last = text.slice(begin).trim()
  return last === '' ? parts : [...parts, last]
}
