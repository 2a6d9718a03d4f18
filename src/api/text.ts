import { z } from 'zod'

/** Text of a request as both engines can hold it: PostgreSQL knows no NUL. */
export function plainText(lengthMax: number, lengthMin = 0) {
  return z
    .string()
    .min(lengthMin)
    .max(lengthMax)
    .refine((text) => !text.includes('\0'), 'must not hold a NUL character')
}
