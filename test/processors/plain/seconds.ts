/** Times in messages, for the plain processors. */

import type { Read } from './strict-json.ts'
import { string } from './strict-json.ts'

const form = /^(\d{4})-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?Z$/

/** Seconds since 1970 of a time in UTC with a literal Z, as 32 bits; a text that is no such time is now. */
export function secondsOf(nowMs: () => number): Read<bigint> {
  return (value, path) => BigInt.asUintN(32, BigInt(parse(string(value, path)) ?? Math.floor(nowMs() / 1000)))
}

function parse(text: string): number | undefined {
  const [year, month, day, hour, minute, second] = form.exec(text)?.slice(1).map(Number) ?? []
  if (year === undefined || month === undefined || day === undefined) return undefined
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  // A leap second counts as the second before it.
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + Math.min(second, 59)
}
