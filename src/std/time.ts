/** ClickHouse's text form of a DateTime64(6) in UTC: `YYYY-MM-DD HH:MM:SS.ffffff`, from ms since the epoch. */
export function clickhouseTime(ms: number): string {
  const iso = new Date(ms).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}000`
}

/** ClickHouse's text form of a DateTime in UTC: `YYYY-MM-DD HH:MM:SS`, from ms since the epoch. */
export function clickhouseSeconds(ms: number): string {
  const iso = new Date(ms).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`
}
