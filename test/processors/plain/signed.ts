/** Integers with a sign, for the plain processors. */
import { InvalidMessage } from '../../../src/datasets/processor/invalid-message.ts'
import type { Read } from './strict-json.ts'

export const signed64: Read<bigint> = (value, path) => {
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return value
  throw new InvalidMessage('Expected an integer of 64 bits.', { path })
}
