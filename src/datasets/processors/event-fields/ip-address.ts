/** IP addresses as texts: which of them are valid, and how they are printed. */

export type IpAddress = { version: 4 | 6; text: string }

const part = '(0|[1-9]\\d{0,2})'
const ipV4 = new RegExp(`^${part}[.]${part}[.]${part}[.]${part}$`)
const group = /^[0-9a-fA-F]{1,4}$/

/**
 * An address in its usual form, as Rust's `IpAddr` reads and prints it: no leading zeros in version 4, the first
 * longest run of zeros shortened in version 6, mapped addresses with their version 4 part in decimals.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (!text.includes(':')) return parseIpV4(text) === undefined ? undefined : { version: 4, text }
  const groups = parseIpV6(text)
  return groups === undefined ? undefined : { version: 6, text: printIpV6(groups) }
}

function parseIpV4(text: string): number[] | undefined {
  const found = ipV4.exec(text)
  if (found === null) return undefined
  const parts = [Number(found[1]), Number(found[2]), Number(found[3]), Number(found[4])]
  return parts.every((value) => value < 256) ? parts : undefined
}

/** The eight groups of 16 bits. */
function parseIpV6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left, right] = [
    parseGroups(halves[0] ?? '', halves.length === 1),
    parseGroups(halves[1] ?? '', true),
  ]
  if (left === undefined || right === undefined) return undefined
  const missing = 8 - left.length - right.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  return [...left, ...Array.from({ length: missing }, () => 0), ...right]
}

/** Groups between colons; the last may be an address of version 4 if the text's end is the address's end. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const sources = text.split(':')
  for (const [index, source] of sources.entries()) {
    if (group.test(source)) {
      groups.push(Number.parseInt(source, 16))
      continue
    }
    const parts = isLast && index === sources.length - 1 ? parseIpV4(source) : undefined
    if (parts === undefined) return undefined
    const [a = 0, b = 0, c = 0, d = 0] = parts
    groups.push(a * 256 + b, c * 256 + d)
  }
  return groups
}

function printIpV6(groups: readonly number[]): string {
  const isMapped = groups.slice(0, 5).every((value) => value === 0) && groups[5] === 0xffff
  if (isMapped) {
    const [high = 0, low = 0] = groups.slice(6)
    return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  }
  let longest = { start: 0, length: 0 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > longest.length) longest = { start, length }
  }
  const hex = (from: number, until: number) => groups.slice(from, until).map((value) => value.toString(16))
  if (longest.length < 2) return hex(0, 8).join(':')
  return `${hex(0, longest.start).join(':')}::${hex(longest.start + longest.length, 8).join(':')}`
}
