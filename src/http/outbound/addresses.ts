/**
 * Which addresses of the network are out of bounds: every one that is not part of the public internet. Ranges
 * are those of the IANA registries of special-purpose addresses, with multicast, and Azure's wire server, which
 * answers its guests at a public address. In IPv6 only global unicast is in bounds, and none of it that carries
 * an IPv4 address or is set aside.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'

const refusedRanges = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3fff::/20',
]
const globalUnicast = '2000::/3'

export interface AddressPolicy {
  isAllowed(address: string): boolean
}

export function createAddressPolicy(addressesAllowed: readonly string[]): AddressPolicy {
  const excepted = listOf(addressesAllowed)
  const refused = listOf(refusedRanges)
  const unicast = listOf([globalUnicast])
  return {
    isAllowed(address) {
      const family = familyOf(address)
      if (family === undefined) return false
      if (excepted.check(address, family)) return true
      if (family === 'ipv6' && !unicast.check(address, family)) return false
      return !refused.check(address, family)
    },
  }
}

/** Whether a text is an address with the length of its prefix. */
export function isRange(text: string): boolean {
  const [address = '', bits = ''] = text.split('/')
  const family = familyOf(address)
  return family !== undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 'ipv4' ? 32 : 128)
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  // An address with a zone is one of a link of this machine.
  if (isIP(address) === 0 || address.includes('%')) return undefined
  return isIPv4(address) ? 'ipv4' : 'ipv6'
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), familyOf(address) ?? 'ipv4')
  }
  return list
}
