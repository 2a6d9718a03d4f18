/**
 * Values of a JSON row in the form in which RowBinary gives them, so that a processor that writes one format can be
 * compared with one that writes the other. What has no such form stays as it is, and so differs.
 */
import { JsonFloat, type LosslessValue } from '../../../std/lossless-json.ts'
import { bareType, type ColumnType, elementType, isNullable } from './column-type.ts'

export function typedValue(value: LosslessValue | undefined, type: ColumnType): LosslessValue {
  if (value === undefined || (value === null && !isNullable(type))) return defaultOf(type)
  if (value === null) return null
  const bare = bareType(type)
  if (/^U?Int\d+$/.test(bare.name)) return integerOf(value) ?? value
  if (bare.name === 'Bool') return typeof value === 'boolean' ? BigInt(value) : (integerOf(value) ?? value)
  if (bare.name.startsWith('Float')) return floatOf(value)
  if (/^(Date|Enum)/.test(bare.name)) return timeOf(value, bare)
  if (bare.name === 'UUID' && typeof value === 'string') return value.toLowerCase()
  if (bare.name === 'FixedString' && typeof value === 'string')
    return value.padEnd(Number(bare.parts[0]), '\0')
  if (Array.isArray(value))
    return value.map((item, at) => {
      const inner = elementType(bare, at)
      return inner === undefined ? item : typedValue(item, inner)
    })
  if (typeof value === 'object' && !(value instanceof JsonFloat))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const inner = elementType(bare, key)
        return [key, inner === undefined ? item : typedValue(item, inner)]
      }),
    )
  return value
}

/** JSON has no infinity: where RowBinary has one, JSON rows have null, which a column takes as 0. */
export function finiteValue(value: LosslessValue): LosslessValue {
  if (typeof value === 'number') return Number.isFinite(value) ? value : 0
  if (Array.isArray(value)) return value.map(finiteValue)
  if (typeof value !== 'object' || value === null || value instanceof JsonFloat) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, finiteValue(item)]))
}

/** What a column takes when a row leaves it out. */
function defaultOf(type: ColumnType): LosslessValue {
  if (isNullable(type)) return null
  const { name, parts } = bareType(type)
  if (name === 'String') return ''
  if (name === 'FixedString') return '\0'.repeat(Number(parts[0]))
  if (name.startsWith('Float')) return 0
  if (name === 'UUID') return '00000000-0000-0000-0000-000000000000'
  if (name === 'Array' || name === 'Nested') return []
  if (name === 'Map') return {}
  return 0n
}

function integerOf(value: LosslessValue): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (typeof value === 'boolean') return BigInt(value)
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value)
  return undefined
}

function floatOf(value: LosslessValue): LosslessValue {
  if (value instanceof JsonFloat) return value.value
  return typeof value === 'bigint' ? Number(value) : value
}

/** Ticks since 1970: seconds, or parts of them for `DateTime64`. */
function timeOf(value: LosslessValue, { name, parts }: ColumnType): LosslessValue {
  const digits = name === 'DateTime64' ? Number(parts[0] ?? 3) : 0
  const whole = integerOf(value)
  if (whole !== undefined) return whole * 10n ** BigInt(digits)
  if (value instanceof JsonFloat) return BigInt(value.value) * 10n ** BigInt(digits)
  if (typeof value === 'number') return BigInt(Math.round(value * 10 ** digits))
  if (typeof value !== 'string' || name.startsWith('Enum')) return value
  const [, day, time = '00:00:00', fraction = ''] =
    /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?)?(?:Z|\+00:00)?$/.exec(value) ?? []
  const ms = day === undefined ? Number.NaN : Date.parse(`${day}T${time}Z`)
  if (Number.isNaN(ms)) return value
  if (name === 'Date' || name === 'Date32') return BigInt(Math.floor(ms / 86_400_000))
  const ticks = fraction.padEnd(digits, '0').slice(0, digits)
  return BigInt(ms / 1000) * 10n ** BigInt(digits) + BigInt(ticks === '' ? 0 : ticks)
}
