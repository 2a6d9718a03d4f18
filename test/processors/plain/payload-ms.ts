/** Times of events in ms, for the plain processors. */
import { type Read, string } from './strict-json.ts'

const form =
  /^\s*([+-]\d+|\d{1,4})-\s*(\d{1,2})-\s*(\d{1,2})T\s*(\d{1,2}):\s*(\d{1,2}):\s*(\d{1,2})(?:\.(\d+))?Z$/

/** ms since 1970 as 64 bits, of a time in UTC with a literal Z; a text that is no such time is now. */
export function payloadMs(nowMs: () => number): Read<bigint> {
  return (value, path) => BigInt.asUintN(64, BigInt(parseMs(string(value, path)) ?? Math.floor(nowMs())))
}

function parseMs(text: string): number | undefined {
  const found = form.exec(text)
  if (found === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number)
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const isDate =
    date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!isDate || hour > 23 || minute > 59 || second > 60) return undefined
  const ms = Math.floor(Number(`0.${found[7] ?? '0'}`.slice(0, 5)) * 1000 + 0.0001)
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms
}
