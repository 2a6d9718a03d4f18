import pg, { type CustomTypesConfig } from 'pg'

/**
 * How column values arrive. They are set per connection, never on the library, which others may share:
 * numbers that a double cannot hold are strings, times are ISO-8601 strings in full precision, intervals and
 * dates are PostgreSQL's own text.
 */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    const own = format === 'binary' ? undefined : parsers.get(oid)
    return own ?? library.getTypeParser(oid, format)
  },
}

const asIs = (text: string): string => text
const library: CustomTypesConfig = pg.types
const textArray: number = 1009
const parseTexts: (text: string) => (string | null)[] = library.getTypeParser(textArray, 'text')
const arrayOf = (parse: (text: string) => string) => (text: string) =>
  parseTexts(text).map((element) => (element === null ? null : parse(element)))

const parsers = new Map<number, (text: string) => unknown>([
  [20, asIs],
  [1016, arrayOf(asIs)],
  [1700, asIs],
  [1231, arrayOf(asIs)],
  [1082, asIs],
  [1182, arrayOf(asIs)],
  [1186, asIs],
  [1187, arrayOf(asIs)],
  [1114, (text) => text.replace(' ', 'T')],
  [1115, arrayOf((text) => text.replace(' ', 'T'))],
  [1184, isoTime],
  [1185, arrayOf(isoTime)],
])

const timeText = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([+-]\d\d)(?::?(\d\d))?$/

/**
 * PostgreSQL's text of a timestamptz as ISO-8601 in UTC: three digits of a second, six where it has
 * microseconds. Infinity and years outside 0001 to 9999 stay as PostgreSQL wrote them.
 */
export function isoTime(text: string): string {
  const match = timeText.exec(text)
  if (match === null) return text
  const [, day, time, fraction = '', hours, minutes = '00'] = match
  const seconds = new Date(`${day}T${time}${hours}:${minutes}`).toISOString().slice(0, 19)
  const micros = fraction.padEnd(6, '0')
  return `${seconds}.${micros.endsWith('000') ? micros.slice(0, 3) : micros}Z`
}
