/**
 * When an event happened, by PostHog's shared algorithm. A client's clock may be wrong, so where the client
 * says when it sent the request, the difference between that and our clock is taken off the event's time. An
 * offset (how long ago, in ms) needs no clock and wins over both. More than 23 hours in the future is not
 * believed: it happened now. Years outside 0 to 9999 become the epoch. The client's own text stays in `data`.
 */
import { parseDate } from '../std/parse-date.ts'

export type TimestampInput = {
  /** As the client wrote it. */
  timestamp: string | undefined
  /** How many ms before the request it happened. */
  offsetMs: number | undefined
  sentAtMs: number | undefined
  /** `$ignore_sent_at`: the client's clock is known to be right, or the data is old. */
  ignoresSentAt: boolean
  nowMs: number
}

const futureMsMax = 23 * 3_600_000
const yearZeroMs = -62_167_219_200_000
const year10000Ms = 253_402_300_800_000

/** ms since the epoch, always a whole number within years 0 to 9999. */
export function computeTimestamp(input: TimestampInput): number {
  const { nowMs } = input
  let result = nowMs
  const parsed = input.timestamp === undefined ? undefined : parseDate(input.timestamp)
  if (parsed !== undefined) {
    const skew = input.sentAtMs === undefined || input.ignoresSentAt ? 0 : input.sentAtMs - nowMs
    result = parsed - skew
  }
  if (input.offsetMs !== undefined) result = nowMs - input.offsetMs
  if (result - nowMs > futureMsMax) result = nowMs
  if (!(result >= yearZeroMs && result < year10000Ms)) return 0
  return Math.floor(result)
}

const dayMs = 86_400_000
let lastDay = Number.NaN
let lastDayText = ''

/**
 * RFC 3339 in UTC as PostHog writes `now` and `timestamp`: no fraction where it is zero, else three digits. The
 * day of the last one is remembered: most events of an hour share it.
 */
export function formatInstant(ms: number): string {
  const day = Math.floor(ms / dayMs)
  if (day !== lastDay) {
    lastDayText = new Date(day * dayMs).toISOString().slice(0, 11)
    lastDay = day
  }
  const inDay = ms - day * dayMs
  const seconds = Math.floor(inDay / 1000)
  const fraction = inDay - seconds * 1000
  const time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  if (fraction === 0) return `${lastDayText}${time}Z`
  return `${lastDayText}${time}.${fraction < 10 ? '00' : fraction < 100 ? '0' : ''}${fraction}Z`
}

function two(number: number): string {
  return number < 10 ? `0${number}` : String(number)
}

/** RFC 3339 in UTC as PostHog writes `sent_at`: trailing zeros of the fraction are left out. */
export function formatSentAt(ms: number): string {
  const text = formatInstant(ms)
  return text.includes('.') ? text.replace(/0+Z$/, 'Z') : text
}
