/**
 * The one form of times in payloads: `2026-08-22T06:57:43.123456Z`, the fraction optional. What has another
 * form counts as now, as in Snuba's processors.
 */
import { arenaBytes } from '../../../std/arena.ts'
import { readText } from '../../../std/arena-json.ts'

const memory = arenaBytes()
/** What chrono's format takes beside the usual form: fewer digits, a sign, spaces before numbers. */
const form =
  /^\s*([+-]\d{1,6}|\d{1,4})-\s*(\d{1,2})-\s*(\d{1,2})T\s*(\d{1,2}):\s*(\d{1,2}):\s*(\d{1,2})(?:\.\d+)?Z$/
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const quote = 0x22

/**
 * Seconds since 1970, as 32 bits hold them, of the string from `start` to `end`, quotes included; fractions
 * are cut off.
 */
export function payloadSeconds(start: number, end: number): number | undefined {
  return usualSeconds(start, end) ?? unusualSeconds(readText(start, end))
}

function usualSeconds(start: number, end: number): number | undefined {
  const isUsual =
    end - start >= 22 &&
    memory[start + 5] === 0x2d &&
    memory[start + 8] === 0x2d &&
    memory[start + 11] === 0x54 &&
    memory[start + 14] === 0x3a &&
    memory[start + 17] === 0x3a &&
    memory[end - 1] === quote &&
    hasFraction(start + 20, end - 1)
  if (!isUsual) return undefined
  const year = twoDigits(start + 1) * 100 + twoDigits(start + 3)
  const clock = {
    hour: twoDigits(start + 12),
    minute: twoDigits(start + 15),
    second: twoDigits(start + 18),
  }
  const date = { year, month: twoDigits(start + 6), day: twoDigits(start + 9) }
  return secondsOf(date, clock)
}

/** Nothing or `.123`, and then `Z`. */
function hasFraction(start: number, end: number): boolean {
  if (memory[end - 1] !== 0x5a) return false
  if (end - start === 1) return true
  if (memory[start] !== 0x2e || end - start === 2) return false
  for (let place = start + 1; place < end - 1; place++) {
    const digit = (memory[place] ?? 0) - 0x30
    if (digit < 0 || digit > 9) return false
  }
  return true
}

/** Not a number if there are no two digits. */
function twoDigits(at: number): number {
  const high = (memory[at] ?? 0) - 0x30
  const low = (memory[at + 1] ?? 0) - 0x30
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : Number.NaN
}

function unusualSeconds(text: string): number | undefined {
  const found = form.exec(text)
  if (found === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number)
  return secondsOf({ year, month, day }, { hour, minute, second })
}

function secondsOf(
  { year, month, day }: { year: number; month: number; day: number },
  { hour, minute, second }: { hour: number; minute: number; second: number },
): number | undefined {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = (daysOfMonth[month - 1] ?? 0) + (month === 2 && isLeap ? 1 : 0)
  const isTime = hour <= 23 && minute <= 59 && second <= 60
  if (!(day >= 1 && day <= days && isTime && Math.abs(year) <= 262_142)) return undefined
  const before = year - 1
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
  const dayOfYear = (daysBefore[month - 1] ?? 0) + (month > 2 && isLeap ? 1 : 0) + day
  const day1970 = before * 365 + leapDays + dayOfYear - 719_163
  // A leap second counts as the second before it.
  const seconds = ((day1970 * 24 + hour) * 60 + minute) * 60 + Math.min(second, 59)
  return seconds >>> 0
}
