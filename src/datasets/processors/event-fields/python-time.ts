/** Points in time as Python's datetime has them: in microseconds. */
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { parseEventTime } from './datetime.ts'
import { numberOf, type PyValue } from './python-value.ts'

const microsecondsPerSecond = 1e6
const unsigned32Max = 2 ** 32 - 1
/** From the year 1 to the end of the year 9999. */
const secondsMin = -62_135_596_800
const secondsMax = 253_402_300_799

/** Microseconds since 1970 of seconds since then, rounded to even as Python does. */
export function requireTime(value: PyValue | undefined, path: string): number {
  const seconds = numberOf(value)
  if (seconds === undefined) throw new InvalidMessage('Expected a time in seconds since 1970.', { path })
  const whole = Math.trunc(seconds)
  if (whole < secondsMin || whole > secondsMax)
    throw new InvalidMessage('Expected a time before the year 10000.', { path })
  return whole * microsecondsPerSecond + roundToEven((seconds - whole) * microsecondsPerSecond)
}

/** The time if it fits into 32 bits of seconds, else undefined: Snuba's `_ensure_valid_date`. */
export function validTime(microseconds: number): number | undefined {
  const seconds = Math.trunc(microseconds / microsecondsPerSecond)
  return seconds >= 0 && seconds <= unsigned32Max ? microseconds : undefined
}

/** A text in the form `2026-08-22T06:57:43.123456Z`, the fraction required. */
export function requireTimeText(value: PyValue | undefined, path: string): number {
  const found = typeof value === 'string' ? /^(.*)\.(\d{1,6})Z$/s.exec(value) : null
  const ms = parseEventTime(`${found?.[1]}Z`)
  if (found === null || ms === undefined)
    throw new InvalidMessage('Expected a time such as 2026-08-22T06:57:43.123456Z.', { path })
  return ms * 1000 + Number((found[2] ?? '').padEnd(6, '0'))
}

/** As columns take it: `2026-08-22 06:57:43`. */
export function timeText(microseconds: number): string {
  return new Date(Math.floor(microseconds / 1000)).toISOString().slice(0, 19).replace('T', ' ')
}

/** Whole milliseconds of a duration or a time, by the same steps with floats as in Python. */
export function wholeMs(microseconds: number): number {
  return Math.trunc((microseconds / microsecondsPerSecond) * 1000)
}

function roundToEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}
