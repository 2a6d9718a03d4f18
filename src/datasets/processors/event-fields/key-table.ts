/** Finds out which of a few known keys the scanner has just read, without making a string of it. */
import type { JsonScanner } from './json-scanner.ts'

export interface KeyTable<Key extends string> {
  /** The known key, or an empty text. Leaves its index in `scanner.keyIndex`, an alias the one of its key. */
  find(scanner: JsonScanner): Key | ''
  /** The same for a piece of a message without escapes. */
  findAt(bytes: Buffer, start: number, end: number): Key | ''
  findName(name: string): Key | ''
}

type Entry<Key extends string> = { name: string; bytes: Buffer; key: Key; index: number }

const slots = 256
const shift = 14
const factorsMax = 2 ** 11

/** At most 31 keys, told apart by length, first, middle and last byte. `aliases` are other names of keys. */
export function createKeyTable<const Key extends string>(
  keys: readonly Key[],
  aliases: Readonly<Record<string, Key>> = {},
): KeyTable<Key> {
  const named: [string, Key][] = [...keys.map((key): [string, Key] => [key, key]), ...Object.entries(aliases)]
  const entries = named.map(([name, key]): Entry<Key> => {
    return { name, bytes: Buffer.from(name), key, index: keys.indexOf(key) }
  })
  const byName = new Map(entries.map((entry) => [entry.name, entry]))
  const { table, factor } = placeEntries(entries)
  const search = (bytes: Buffer, start: number, end: number): Entry<Key> | undefined => {
    const found = table[((slotOf(bytes, start, end) * factor) >> shift) & (slots - 1)]
    return found !== undefined && found.bytes.length === end - start && isAt(found.bytes, bytes, start)
      ? found
      : undefined
  }
  return {
    find(scanner) {
      const { bytes, start, end } = scanner
      const entry = scanner.isEscaped ? byName.get(scanner.text()) : search(bytes, start, end)
      scanner.keyIndex = entry === undefined ? -1 : entry.index
      return entry === undefined ? '' : entry.key
    },
    findAt: (bytes, start, end) => search(bytes, start, end)?.key ?? '',
    findName: (name) => byName.get(name)?.key ?? '',
  }
}

/** A slot of its own for each entry, by a factor that is searched for. */
function placeEntries<Key extends string>(entries: readonly Entry<Key>[]) {
  for (let factor = 1; factor < factorsMax; factor += 2) {
    const table: (Entry<Key> | undefined)[] = Array.from({ length: slots }, () => undefined)
    for (const entry of entries)
      table[((slotOf(entry.bytes, 0, entry.bytes.length) * factor) >> shift) & (slots - 1)] = entry
    if (table.filter((entry) => entry !== undefined).length === entries.length) return { table, factor }
  }
  throw new Error('No factor gives each key a slot of its own.')
}

function slotOf(bytes: Buffer, start: number, end: number): number {
  const length = end - start
  const middle = bytes[start + (length >> 1)] ?? 0
  return (length << 14) ^ (middle << 10) ^ ((bytes[start] ?? 0) << 5) ^ (bytes[end - 1] ?? 0)
}

function isAt(wanted: Buffer, bytes: Buffer, start: number): boolean {
  const length = wanted.length
  for (let index = 0; index < length; index++) if (wanted[index] !== bytes[start + index]) return false
  return true
}
