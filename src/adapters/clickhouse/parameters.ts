/**
 * Values of `{name:Type}` placeholders as ClickHouse reads them from a URL: the text of the value in its
 * tab-separated form at the top, quoted inside of arrays, tuples and maps.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'

/** Fails with `WAREHOUSE_REFUSED` for what no parameter can be, such as a function or a number without a value. */
export function parameterText(value: unknown): string {
  if (value === null || value === undefined) return '\\N'
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  return nestedText(value)
}

function nestedText(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'string') return `'${escaped(value).replaceAll("'", "\\'")}'`
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE'
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Date) return (value.getTime() / 1000).toFixed(3)
  if (Array.isArray(value)) return `[${value.map(nestedText).join(',')}]`
  if (typeof value === 'object') {
    const entries = value instanceof Map ? [...value] : Object.entries(value)
    return `{${entries.map(([key, inner]) => `${nestedText(key)}:${nestedText(inner)}`).join(',')}}`
  }
  throw new RowmillError('WAREHOUSE_REFUSED', `A ${typeof value} cannot be the value of a parameter.`)
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (value === Number.POSITIVE_INFINITY) return '+inf'
  if (value === Number.NEGATIVE_INFINITY) return '-inf'
  return String(value)
}

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\0': '\\0',
}

function escaped(text: string): string {
  return text.replace(/[\\\t\n\r\0]/g, (character) => escapes[character] ?? character)
}
