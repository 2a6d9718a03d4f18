/** The one form of times in events' envelopes: `2026-08-22T06:57:43.123456Z`, the fraction optional. */
import { arenaBytes, textOf } from '../../../std/arena.ts'

const memory = arenaBytes()
const usual = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z$/
/** What chrono's format takes beside that: fewer digits, a sign, spaces before numbers. */
const unusual =
  /^\s*([+-]\d+|\d{1,4})-\s*(\d{1,2})-\s*(\d{1,2})T\s*(\d{1,2}):\s*(\d{1,2}):\s*(\d{1,2})(?:\.(\d+))?Z$/
const usualLength = 27
const hyphen = 0x2d
const colon = 0x3a
/** From the first of March of the year 0. */
const daysBefore1970 = 719_468
const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The same of a piece of a message; the usual form takes a shorter way. */
export function parseEventTimeAt(start: number, end: number): number | undefined {
  const isUsual =
    end - start === usualLength &&
    memory[start + 4] === hyphen &&
    memory[start + 7] === hyphen &&
    memory[start + 10] === 0x54 &&
    memory[start + 13] === colon &&
    memory[start + 16] === colon &&
    memory[start + 19] === 0x2e &&
    memory[end - 1] === 0x5a
  const month = digits(start + 5, 2)
  const day = digits(start + 8, 2)
  const hour = digits(start + 11, 2)
  const minute = digits(start + 14, 2)
  const second = digits(start + 17, 2)
  const year = digits(start, 4)
  const ms = digits(start + 20, 3)
  const isPlain =
    month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour <= 23 && minute <= 59 && second <= 59
  if (!isUsual || !isPlain || !(year >= 0) || !(ms >= 0) || !(digits(start + 23, 3) >= 0))
    return parseEventTime(textOf(start, end))
  return (((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms
}

/** Digits as a number; none if they are no digits. */
function digits(start: number, count: number): number {
  let value = 0
  for (let at = start; at < start + count; at++) {
    const digit = (memory[at] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** ms since 1970, fractions of a ms cut off; undefined for what is no such time. */
export function parseEventTime(text: string): number | undefined {
  const found = usual.exec(text) ?? unusual.exec(text)
  if (found === null) return undefined
  const year = Number(found[1])
  const month = Number(found[2])
  const day = Number(found[3])
  const hour = Number(found[4])
  const minute = Number(found[5])
  const second = Number(found[6])
  if (month < 1 || month > 12 || day < 1 || day > (daysOfMonth[month - 1] ?? 0)) return undefined
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (month === 2 && day === 29 && !isLeapYear) return undefined
  const seconds = ((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
  return seconds * 1000 + Number((found[7] ?? '').slice(0, 3).padEnd(3, '0'))
}

/** Days of the Gregorian calendar, counted from a March so that a leap day is a year's last. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400)
  return marchYear * 365 + leapDays + dayOfYear - daysBefore1970
}
