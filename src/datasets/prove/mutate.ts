/**
 * Messages that are almost like a given one: a value of another type, a key too few or twice, numbers and
 * texts from the edges, deep nesting, bytes cut off. Most of them are what a processor must refuse or survive.
 */
import type { LogHeaders } from '../../event/headers.ts'
import type { Random } from '../../ports/random.ts'
import {
  JsonFloat,
  type LosslessObject,
  type LosslessValue,
  parseLossless,
  stringifyLossless,
} from '../../std/lossless-json.ts'
import { edgeFloats, edgeIntegers, edgeRaws, edgeTexts, otherValues, RawJson } from './edges.ts'
import { mutateBinary, mutateBytes } from './mutate-binary.ts'
import { below, pick } from './seeded-random.ts'

/** A message of `value` with one to three mistakes or surprises in it. */
export function mutate(value: Buffer, random: Random): Buffer {
  const parsed = readJson(value)
  if (parsed === undefined) return mutateBinary(value, random)
  const raws: string[] = []
  let changed = parsed
  for (let changes = pick(random, [1, 1, 1, 1, 2, 3]); changes > 0; changes--)
    changed = changeAt(changed, below(random, sizeOf(changed)), { random, raws })
  const bytes = Buffer.from(withRaws(stringifyLossless(changed), raws))
  return random.next() < 0.04 ? mutateBytes(bytes, random) : bytes
}

/** Headers of which one is missing or says something else, now and then. */
export function mutateHeaders(headers: LogHeaders, random: Random): LogHeaders {
  const names = Object.keys(headers)
  const name = names[below(random, names.length)]
  if (name === undefined || random.next() < 0.9) return headers
  const others = Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name))
  return random.next() < 0.5 ? others : { ...others, [name]: pick(random, edgeTexts) }
}

function readJson(value: Buffer): LosslessValue | undefined {
  try {
    return parseLossless(value)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

type Chance = { random: Random; raws: string[] }

/** How many values there are, the outermost included. */
function sizeOf(value: LosslessValue): number {
  let size = 1
  for (const child of childrenOf(value)) size += sizeOf(child)
  return size
}

function childrenOf(value: LosslessValue): LosslessValue[] {
  if (Array.isArray(value)) return value
  return isObject(value) ? Object.values(value) : []
}

/** The value with a change at the `at`th of its values, counted from the outermost, depth first. */
function changeAt(value: LosslessValue, at: number, chance: Chance): LosslessValue {
  if (at === 0) return change(value, chance)
  let left = at - 1
  const inner = (child: LosslessValue): LosslessValue => {
    const size = sizeOf(child)
    const isHere = left >= 0 && left < size
    const changed = isHere ? changeAt(child, left, chance) : child
    left -= size
    return changed
  }
  if (Array.isArray(value)) return value.map(inner)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, inner(child)]))
}

function change(value: LosslessValue, chance: Chance): LosslessValue {
  const { random } = chance
  const choice = random.next()
  if (isObject(value) && choice < 0.8) return changeObject(value, chance)
  if (Array.isArray(value) && choice < 0.8) return changeArray(value, random)
  if (typeof value === 'string' && choice < 0.5) return changeText(value, random)
  if ((typeof value === 'number' || typeof value === 'bigint') && choice < 0.6)
    return changeNumber(value, random)
  return replacement(value, chance)
}

function replacement(value: LosslessValue, { random, raws }: Chance): LosslessValue {
  const edges = [
    () => pick(random, edgeIntegers),
    () => pick(random, edgeFloats),
    () => pick(random, edgeTexts),
    () => pick(random, otherValues),
    () => raw(pick(random, edgeRaws), raws),
    () => nest(value, pick(random, [1, 2, 40, 126, 127, 128, 129])),
    () => (typeof value === 'object' ? null : String(value)),
    () => null,
  ] as const
  return pick(random, edges)()
}

function changeObject(object: LosslessObject, { random, raws }: Chance): LosslessValue {
  const entries = Object.entries(object)
  const at = below(random, entries.length)
  const entry = entries[at]
  if (entry === undefined) return { a: 1 }
  const [key, item] = entry
  const without = entries.toSpliced(at, 1)
  const edges = [
    () => Object.fromEntries(without),
    () => Object.fromEntries(without),
    () => Object.fromEntries(entries.toReversed()),
    () => Object.fromEntries([...without, [pick(random, edgeTexts), item]]),
    () =>
      Object.fromEntries([...entries, [`${key}x`, item], [pick(random, edgeTexts), pick(random, edgeTexts)]]),
    () => keyTwice(object, entry, { random, raws }),
    () => Object.fromEntries(without.toSpliced(below(random, entries.length), 0, entry)),
  ] as const
  return pick(random, edges)()
}

function keyTwice(object: LosslessObject, [key, item]: [string, LosslessValue], { random, raws }: Chance) {
  const other = pick(random, [item, null, pick(random, edgeIntegers)])
  const twice = `${JSON.stringify(key)}:${stringifyLossless(other)}`
  const inner = stringifyLossless(object).slice(1, -1)
  return raw(new RawJson(random.next() < 0.5 ? `{${inner},${twice}}` : `{${twice},${inner}}`), raws)
}

function changeArray(items: readonly LosslessValue[], random: Random): LosslessValue {
  const at = below(random, items.length)
  const edges = [
    () => items.toSpliced(at, 1),
    () => [...items, ...items.slice(at, at + 1)],
    () => items.toReversed(),
    () => [...items, pick(random, otherValues)],
    () => items.toSpliced(at, 0, pick(random, edgeTexts), pick(random, edgeIntegers)),
    () => [],
    () => Object.fromEntries(items.map((item, index) => [String(index), item])),
  ] as const
  return pick(random, edges)()
}

function changeText(text: string, random: Random): LosslessValue {
  const at = below(random, text.length + 1)
  const edges = [
    () => text.slice(0, at),
    () => text.slice(0, at) + pick(random, edgeTexts) + text.slice(at),
    () => text.toUpperCase(),
    () => text.replaceAll('-', ''),
    () => `{${text}}`,
    () => ` ${text} `,
    () => (/^\d{1,15}$/.test(text) ? Number(text) : `${text}${text}`),
    () => pick(random, edgeTexts),
  ] as const
  const changed = pick(random, edges)()
  return typeof changed === 'string' ? changed.toWellFormed() : changed
}

function changeNumber(value: number | bigint, random: Random): LosslessValue {
  const edges = [
    () => (Number.isInteger(Number(value)) ? new JsonFloat(Number(value)) : Math.trunc(Number(value))),
    () => -value,
    () => Number(value) + 0.5,
    () => BigInt(Math.trunc(Number(value))) * 1_000_003n,
    () => String(value),
    () => pick(random, edgeIntegers),
    () => pick(random, edgeIntegers),
    () => pick(random, edgeFloats),
  ] as const
  return pick(random, edges)()
}

function nest(value: LosslessValue, depth: number): LosslessValue {
  let nested = value
  for (let level = 0; level < depth; level++) nested = level % 2 === 0 ? [nested] : { a: nested }
  return nested
}

/** A text that stands for the raw one until everything is written. */
function raw({ text }: RawJson, raws: string[]): string {
  return `@raw ${raws.push(text) - 1}@`
}

/** Raw texts may hold the places of others. */
function withRaws(text: string, raws: readonly string[]): string {
  return raws.reduceRight((all, inner, at) => all.replaceAll(`"@raw ${at}@"`, () => inner), text)
}

function isObject(value: LosslessValue): value is LosslessObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat)
}
