/** Finds out which of a few known keys the scanner has just read, without making a string of it. */
import { arenaBytes, constantPiece, type Piece } from '../../../std/arena.ts'
import type { JsonScanner } from './json-scanner.ts'

export interface KeyTable<Key extends string> {
  /** The known key, or an empty text. Leaves its index in `scanner.keyIndex`, an alias the one of its key. */
  find(scanner: JsonScanner): Key | ''
  /** The same for a piece of a message without escapes. */
  findAt(start: number, end: number): Key | ''
  findName(name: string): Key | ''
}

const memory = arenaBytes()

type Entry<Key extends string> = { name: string; piece: Piece; length: number; key: Key; index: number }

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
    return { name, piece: constantPiece(name), length: name.length, key, index: keys.indexOf(key) }
  })
  const byName = new Map(entries.map((entry) => [entry.name, entry]))
  const { table, factor } = placeEntries(entries)
  const search = (start: number, end: number): Entry<Key> | undefined => {
    const found = table[((slotOf(start, end) * factor) >> shift) & (slots - 1)]
    return found !== undefined && found.length === end - start && isAt(found.piece, start) ? found : undefined
  }
  return {
    find(scanner) {
      const { start, end } = scanner
      const entry = scanner.isEscaped ? byName.get(scanner.text()) : search(start, end)
      scanner.keyIndex = entry === undefined ? -1 : entry.index
      return entry === undefined ? '' : entry.key
    },
    findAt: (start, end) => search(start, end)?.key ?? '',
    findName: (name) => byName.get(name)?.key ?? '',
  }
}

/** A slot of its own for each entry, by a factor that is searched for. */
function placeEntries<Key extends string>(entries: readonly Entry<Key>[]) {
  for (let factor = 1; factor < factorsMax; factor += 2) {
    const table: (Entry<Key> | undefined)[] = Array.from({ length: slots }, () => undefined)
    for (const entry of entries)
      table[((slotOf(entry.piece.start, entry.piece.end) * factor) >> shift) & (slots - 1)] = entry
    if (table.filter((entry) => entry !== undefined).length === entries.length) return { table, factor }
  }
  throw new Error('No factor gives each key a slot of its own.')
}

function slotOf(start: number, end: number): number {
  const length = end - start
  const middle = memory[start + (length >> 1)] ?? 0
  return (length << 14) ^ (middle << 10) ^ ((memory[start] ?? 0) << 5) ^ (memory[end - 1] ?? 0)
}

function isAt({ start, end }: Piece, place: number): boolean {
  const distance = place - start
  for (let known = start; known < end; known++) if (memory[known] !== memory[known + distance]) return false
  return true
}
