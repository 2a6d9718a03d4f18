/** Texts of anything, and lists with holes, for the plain processors of events. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import { Fields, type Json, type Read, sortedText } from './strict-json.ts'

/** A string as it is, null as null, anything else as compact JSON. */
export const unicodify: Read<string | null> = (value) =>
  value === null || typeof value === 'string' ? value : sortedText(value)

/** Null stays null. */
export function nullable<Value>(read: Read<Value>): Read<Value | null> {
  return (value, path) => (value === null ? null : read(value, path))
}

export const list: Read<Json[]> = (value, path) => {
  if (Array.isArray(value)) return value
  throw new InvalidMessage('Expected a list.', { path })
}

/** A list of exactly two. */
export function pairOf<One, Other>(readOne: Read<One>, readOther: Read<Other>): Read<[One, Other]> {
  return (value, path) => {
    const items = list(value, path)
    const [one = null, other = null] = items
    if (items.length !== 2) throw new InvalidMessage('Expected a pair.', { path })
    return [readOne(one, path), readOther(other, path)]
  }
}

/** The fields by the bytes of their names; of a name twice the last counts. */
export function inOrder(object: Fields): [string, Json][] {
  const unique = new Map(object.list.map(({ name, value }) => [name, value]))
  return [...unique].sort(([one], [other]) => compareBytes(one, other))
}

export function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

/** A field under one of its two names; both are too many. */
export function ofEither(data: Fields, name: string, oldName: string): Fields {
  const found = new Fields()
  for (const field of data.list)
    if (field.name === name || field.name === oldName) found.list.push({ ...field, name })
  return found
}

const levelsMax = 127

/** The value, if it is not nested deeper than the program reads. */
export function refuseDeep(value: Json): Json {
  if (levelsOf(value) > levelsMax) throw new InvalidMessage('The message is nested too deep.')
  return value
}

function levelsOf(value: Json): number {
  if (Array.isArray(value)) return 1 + Math.max(0, ...value.map(levelsOf))
  if (value instanceof Fields) return 1 + Math.max(0, ...value.list.map((field) => levelsOf(field.value)))
  return 0
}
