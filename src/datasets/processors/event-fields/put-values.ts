/** Puts values into a row in the arena, and makes room for them before. */
import { putAscii, putCopy, reserve } from '../../../std/arena.ts'

/** More than what a row has between two values: quotes, names of columns, numbers. */
export const valueBytesExtra = 4096

/** Puts a piece of the message. */
export function putPiece(start: number, end: number): void {
  reserve(end - start + valueBytesExtra)
  putCopy(start, end)
}

/** Puts a text whose characters are bytes. */
export function putBytesText(text: string): void {
  reserve(text.length + valueBytesExtra)
  putAscii(text)
}
