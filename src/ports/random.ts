/** Chance and identity come in from outside, so that tests can fix them by a seed. */
export interface Random {
  /** A number in [0, 1). Not for secrets. */
  next(): number
  /** `length` bytes, unpredictable in production. */
  bytes(length: number): Buffer
}
