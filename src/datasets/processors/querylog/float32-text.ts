import { floatText } from '../../../std/lossless-json.ts'

/** The shortest text that is the same number in 32 bits; what has no such number is null. */
export function float32Text(value: number): string {
  const single = Math.fround(value)
  if (!Number.isFinite(single)) return 'null'
  if (Number.isInteger(single) && Math.abs(single) < 2 ** 24) return floatText(single)
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits))
    if (Math.fround(short) === single) return floatText(short)
  }
  return floatText(Number(single.toPrecision(9)))
}
