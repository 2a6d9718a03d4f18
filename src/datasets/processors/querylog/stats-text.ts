/**
 * A query's statistics as they are stored: compact JSON with sorted keys, numbers as serde_json prints them.
 */
import { floatText, JsonFloat, type LosslessValue } from '../../../std/lossless-json.ts'

const u64Max = 2n ** 64n - 1n
const i64Min = -(2n ** 63n)
const surrogate = /[\ud800-\udfff]/

/** Names of statistics are few and always the same: their text with the colon. */
const nameTexts = new Map<string, string>()
const nameTextsMax = 1024

/** JSON text with the keys of all objects in the order of their UTF-8 bytes. `source` is the text it was. */
export function sortedText(value: LosslessValue, source: string): string {
  // Only beyond the basic plane do UTF-16 units and UTF-8 bytes have another order.
  return textOf(value, surrogate.test(source) || source.includes('\\u') ? compareBytes : undefined)
}

function textOf(value: LosslessValue, compare: typeof compareBytes | undefined): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : floatText(value)
  if (value instanceof JsonFloat) return floatText(value.value)
  if (typeof value === 'bigint')
    return value > u64Max || value < i64Min ? floatText(Number(value)) : `${value}`
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, compare)).join(',')}]`
  let text = '{'
  for (const key of Object.keys(value).sort(compare))
    text += `${text === '{' ? '' : ','}${nameText(key)}${textOf(value[key] ?? null, compare)}`
  return `${text}}`
}

function nameText(name: string): string {
  const known = nameTexts.get(name)
  if (known !== undefined) return known
  const text = `${JSON.stringify(name)}:`
  if (nameTexts.size < nameTextsMax) nameTexts.set(name, text)
  return text
}

function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

/** The shortest text that is the same number in 32 bits; what has no such number is null. */
export function float32Text(value: number): string {
  const single = Math.fround(value)
  if (!Number.isFinite(single)) return 'null'
  if (Number.isInteger(single) && Math.abs(single) < 2 ** 24) return floatText(single)
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits))
    if (Math.fround(short) === single) return floatText(short)
  }
  return floatText(Number(single.toPrecision(9)))
}
