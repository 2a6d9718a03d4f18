/** A table of names in the arena, to find out by one comparison which of them another piece may be. */
import { arenaBytes, arenaView, type Piece } from './arena.ts'

const memory = arenaBytes()
const view = arenaView()
const slotFactor = 0x9e3779b1 | 0

/**
 * The smallest table of slots in which no two names meet, each a name in quotes and a colon: by slot the position
 * of a name + 1, or 0.
 */
export function slotsOf(names: readonly Piece[]): Uint8Array {
  for (let size = 8; size <= 1 << 20; size *= 2) {
    const slots = new Uint8Array(size)
    const hasRoom = names.every(({ start, end }, field) => {
      const slot = slotOf(start, end - 1, size)
      if (slots[slot] !== 0) return false
      slots[slot] = field + 1
      return true
    })
    if (hasRoom) return slots
  }
  throw new RangeError('Two names of a set of fields cannot be told apart.')
}

/** By a hash of a name in quotes, four bytes at a time. */
export function slotOf(start: number, end: number, size: number): number {
  if (end - start < 4) return (memory[start + 1] ?? 0) & (size - 1)
  let hash = end - start
  for (let at = start; at < end - 4; at += 4) hash = scatter(hash ^ view.getInt32(at, true))
  hash = scatter(hash ^ view.getInt32(end - 4, true))
  return hash & (size - 1)
}

function scatter(hash: number): number {
  const product = Math.imul(hash, slotFactor)
  return product ^ (product >>> 15)
}
