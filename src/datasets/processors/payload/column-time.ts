/** A time as a column of seconds reads it, in UTC: `2026-08-22 06:57:43`. The server's zone must be UTC. */
export function columnTime(ms: number): string {
  const iso = new Date(ms).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`
}
