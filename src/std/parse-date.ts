/**
 * Dates as clients write them. RFC 3339 first, then the lenient forms that PostHog's capture accepts through
 * its date libraries: a space for the `T`, dates alone, slashes, month names, RFC 2822, unix seconds,
 * milliseconds and nanoseconds, and a `T` form without a zone. What has no zone is UTC; what has no time is
 * midnight. Everything is a value in ms since the epoch, or undefined; nothing throws.
 */

const iso =
  /^([+-]?\d{4,6})-(\d\d?)-(\d\d?)(?:[Tt ]+(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?)?\s*(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?$/
const slashed =
  /^(\d{1,4})\/(\d{1,2})\/(\d{1,4})(?:,?\s+(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*([AaPp][Mm])?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?$/
const dayFirst =
  /^(?:[A-Za-z]{3,9},?\s+)?(\d{1,2})[\s-]+([A-Za-z]{3,9})[\s-]+(\d{4})(?:,?\s+(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*([AaPp][Mm])?)?\s*(Z|UTC?|GMT|[+-]\d\d:?\d\d)?$/
const monthFirst =
  /^([A-Za-z]{3,9})\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?:,?\s+(?:at\s+)?(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*([AaPp][Mm])?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?$/
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const textLengthMax = 64

type Parts = {
  year: number
  month: number
  day: number
  hour?: string | undefined
  minute?: string | undefined
  second?: string | undefined
  fraction?: string | undefined
  half?: string | undefined
  zone?: string | undefined
}

/** ms since the epoch, or undefined where the text is no date that anybody can read. */
export function parseDate(input: string): number | undefined {
  const fast = parseCommon(input)
  if (fast !== undefined) return fast
  if (input.length > textLengthMax) return undefined
  const text = input.trim()
  return parseUnix(text) ?? parseIso(text) ?? parseSlashed(text) ?? parseNamed(text)
}

/**
 * RFC 3339 with a zone, the form that is required where a date is protocol and not user data. Undefined
 * otherwise.
 */
export function parseRfc3339(text: string): number | undefined {
  const fast = parseCommon(text)
  if (fast !== undefined) return fast
  if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/.test(text)) return undefined
  return parseIso(text.replace(/(\.\d{9})\d+/, '$1'))
}

/** `2024-01-31T23:59:59.123Z`, what every SDK sends: read without a regular expression. */
function parseCommon(text: string): number | undefined {
  if (text.length !== 24 || text[23] !== 'Z' || text[10] !== 'T' || text[19] !== '.') return undefined
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return undefined
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 7)
  const day = digits(text, 8, 10)
  const hour = digits(text, 11, 13)
  const minute = digits(text, 14, 16)
  const second = digits(text, 17, 19)
  const ms = digits(text, 20, 23)
  if (year + month + day + hour + minute + second + ms < 0 || year < 100) return undefined
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second, ms)
}

/** The number in these places; far below zero if one of them is no digit. */
function digits(text: string, from: number, until: number): number {
  let value = 0
  for (let at = from; at < until; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return -1e9
    value = value * 10 + digit
  }
  return value
}

function parseUnix(text: string): number | undefined {
  if (/^\d{10}(?:\.\d{1,9})?$/.test(text)) return Math.floor(Number(text) * 1000)
  if (/^\d{13}$/.test(text)) return Number(text)
  if (/^\d{19}$/.test(text)) return Number(text.slice(0, 13))
  return undefined
}

function parseIso(text: string): number | undefined {
  const found = iso.exec(text)
  if (found === null) return undefined
  const [, year, month, day, hour, minute, second, fraction, half, zone] = found
  return compose({
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour,
    minute,
    second,
    fraction,
    half,
    zone,
  })
}

/** `2014/04/08` and the American `04/08/2014`; a year of two digits is 1970 to 2069. */
function parseSlashed(text: string): number | undefined {
  const found = slashed.exec(text)
  if (found === null) return undefined
  const [, first = '', second = '', third = '', hour, minute, seconds, fraction, half, zone] = found
  const time = { hour, minute, second: seconds, fraction, half, zone }
  if (first.length === 4 && third.length <= 2)
    return compose({ year: Number(first), month: Number(second), day: Number(third), ...time })
  if (first.length > 2 || (third.length !== 4 && third.length !== 2)) return undefined
  const short = Number(third)
  const year = third.length === 4 ? short : short < 70 ? 2000 + short : 1900 + short
  return compose({ year, month: Number(first), day: Number(second), ...time })
}

/** `Tue, 1 Jul 2003 10:52:37 +0200` and `May 8, 2009 5:57:51 PM`. */
function parseNamed(text: string): number | undefined {
  const found = dayFirst.exec(text)
  if (found !== null) {
    const [, day, name = '', year, hour, minute, second, fraction, half, zone] = found
    return named(name, { year: Number(year), day: Number(day), hour, minute, second, fraction, half, zone })
  }
  const other = monthFirst.exec(text)
  if (other === null) return undefined
  const [, name = '', day, year, hour, minute, second, fraction, half, zone] = other
  return named(name, { year: Number(year), day: Number(day), hour, minute, second, fraction, half, zone })
}

function named(name: string, rest: Omit<Parts, 'month'>): number | undefined {
  const month = months.indexOf(name.slice(0, 3).toLowerCase()) + 1
  return month === 0 ? undefined : compose({ month, ...rest })
}

function compose(parts: Parts): number | undefined {
  const { year, month, day } = parts
  let hour = Number(parts.hour ?? 0)
  const minute = Number(parts.minute ?? 0)
  const second = Number(parts.second ?? 0)
  if (parts.half !== undefined) {
    if (hour < 1 || hour > 12) return undefined
    hour = (hour % 12) + (parts.half.toLowerCase() === 'pm' ? 12 : 0)
  }
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  // A leap second is the last moment of its minute.
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const ms = Math.floor(Number(`0.${parts.fraction ?? '0'}`) * 1000 + 1e-6)
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, Math.min(second, 59), ms))
  date.setUTCFullYear(year, month - 1, day)
  return date.getTime() - zoneMs(parts.zone)
}

function zoneMs(zone: string | undefined): number {
  if (zone === undefined || !/^[+-]/.test(zone)) return 0
  const sign = zone.startsWith('-') ? -1 : 1
  const figures = zone.slice(1).replace(':', '')
  return sign * (Number(figures.slice(0, 2)) * 60 + Number(figures.slice(2) || 0)) * 60_000
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
