import { floatText, JsonFloat, type LosslessValue } from '../../../std/lossless-json.ts'

const u64Max = 2n ** 64n - 1n
const i64Min = -(2n ** 63n)

/** Compact JSON with the keys of all objects in the order of their UTF-8 bytes, numbers as serde_json prints them. */
export function sortedText(value: LosslessValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : floatText(value)
  if (value instanceof JsonFloat) return floatText(value.value)
  if (typeof value === 'bigint')
    return value > u64Max || value < i64Min ? floatText(Number(value)) : `${value}`
  if (Array.isArray(value)) return `[${value.map(sortedText).join(',')}]`
  const fields = Object.keys(value)
    .sort(compareBytes)
    .map((key) => `${JSON.stringify(key)}:${sortedText(value[key] ?? null)}`)
  return `{${fields.join(',')}}`
}

export function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
