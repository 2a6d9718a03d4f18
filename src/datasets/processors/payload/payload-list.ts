/** Lists in payloads in the arena: each item checked, and copied without the space around it. */
import { arenaBytes, putByte, putCopy } from '../../../std/arena.ts'
import { skipSpace, skipValue } from '../../../std/arena-json.ts'
import { isU64 } from '../../../std/arena-numbers.ts'
import { putUuidOf } from '../../../std/arena-uuid.ts'

const memory = arenaBytes()

/** An item from `start` to `end`; `false` if it is not of the list's kind. */
export type VisitItem = (start: number, end: number, index: number) => boolean

/**
 * Visits the items of the array at `at`, which is known to be valid JSON. Answers with their number, or with
 * `undefined` if it is no array or an item was not accepted.
 */
export function visitList(at: number, visit: VisitItem): number | undefined {
  if (at === 0 || memory[at] !== 0x5b) return undefined
  let place = skipSpace(at + 1)
  let count = 0
  while (memory[place] !== 0x5d) {
    const end = skipValue(place, 0)
    if (!visit(place, end, count++)) return undefined
    place = skipSpace(end)
    if (memory[place] === 0x2c) place = skipSpace(place + 1)
  }
  return count
}

export function putStrings(at: number): boolean {
  return putList(at, putStringItem)
}

export function putUuids(at: number): boolean {
  return putList(at, putUuidOf)
}

export function putU64s(at: number): boolean {
  return putList(at, putU64Item)
}

function putStringItem(start: number, end: number): boolean {
  if (memory[start] !== 0x22) return false
  putCopy(start, end)
  return true
}

function putU64Item(start: number, end: number): boolean {
  if (!isU64(start, end)) return false
  putCopy(start, end)
  return true
}

function putList(at: number, putItem: (start: number, end: number) => boolean): boolean {
  if (at === 0 || memory[at] !== 0x5b) return false
  putByte(0x5b)
  let place = skipSpace(at + 1)
  while (memory[place] !== 0x5d) {
    const end = skipValue(place, 0)
    if (!putItem(place, end)) return false
    place = skipSpace(end)
    if (memory[place] === 0x2c) {
      putByte(0x2c)
      place = skipSpace(place + 1)
    }
  }
  putByte(0x5d)
  return true
}
