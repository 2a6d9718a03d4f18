/**
 * Which keys of a cluster live together. A key's slot is the CRC16 (XMODEM) of its bytes, or of what stands
 * between the first `{` and the next `}`, modulo 16384, as Redis's cluster specification has it.
 */
const slots = 16_384

export function slotOf(key: Buffer): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  const hashed = close > open + 1 ? key.subarray(open + 1, close) : key
  let crc = 0
  for (const byte of hashed) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    crc &= 0xffff
  }
  return crc % slots
}

/** The places in `keys`, those of one slot together. */
export function groupBySlot(keys: readonly Buffer[]): number[][] {
  const groups = new Map<number, number[]>()
  for (const [place, key] of keys.entries()) {
    const slot = slotOf(key)
    const group = groups.get(slot)
    if (group === undefined) groups.set(slot, [place])
    else group.push(place)
  }
  return [...groups.values()]
}
