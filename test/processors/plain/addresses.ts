/** IP addresses, for the plain processors: which texts are some, and the form in which they are stored. */
import { isIPv4, isIPv6 } from 'node:net'

/** The column of the address, or none. */
export function hasAddress(text: string): { ip_address_v4?: string; ip_address_v6?: string } {
  if (isIPv4(text)) return { ip_address_v4: text }
  if (!isIPv6(text) || text.includes('%')) return {}
  return { ip_address_v6: shortest(groupsOf(text)) }
}

function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const left = groupsOfHalf(head)
  const right = groupsOfHalf(tail ?? '')
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right]
}

function groupsOfHalf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

/** Without leading zeros, the first longest run of at least two zeros as `::`, mapped ones with dots. */
function shortest(groups: readonly number[]): string {
  const hex = groups.map((group) => group.toString(16))
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  const [high = 0, low = 0] = groups.slice(6)
  if (mapped) return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  for (let length = 8; length >= 2; length--)
    for (let start = 0; start + length <= 8; start++)
      if (groups.slice(start, start + length).every((group) => group === 0))
        return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
  return hex.join(':')
}
