/**
 * The operator's list of events to drop: `token` or `token:*` drops all of a token, `token:distinct_id` one
 * id. Everything after the first colon is the distinct id.
 */
export type TokenDropper = (token: string, distinctId: string) => boolean

export function createTokenDropper(entries: readonly string[]): TokenDropper {
  const whole = new Set<string>()
  const single = new Set<string>()
  for (const entry of entries.flatMap((text) => text.split(/[,;]/))) {
    const text = entry.trim()
    const colon = text.indexOf(':')
    const token = colon === -1 ? text : text.slice(0, colon)
    const distinctId = colon === -1 ? '*' : text.slice(colon + 1)
    if (token === '') continue
    if (distinctId === '*' || distinctId.trim() === '') whole.add(token)
    else single.add(`${token}:${distinctId}`)
  }
  if (whole.size === 0 && single.size === 0) return () => false
  return (token, distinctId) => whole.has(token) || single.has(`${token}:${distinctId}`)
}
