/** Where in a JSON text a byte stands, as a path (`[2].data.tags[0]`): for messages about what is wrong there. */
export function jsonPathAt(bytes: Buffer, at: number): string {
  const levels: { key: string | undefined; index: number }[] = []
  let lastText = ''
  let place = 0
  while (place < at) {
    const level = levels.at(-1)
    switch (bytes[place]) {
      case 0x22: {
        const end = endOfString(bytes, place)
        lastText = bytes.toString('utf8', place + 1, end)
        if (end >= at && level?.key === undefined) return pathOf(levels)
        place = end
        break
      }
      case 0x7b:
        levels.push({ key: '', index: 0 })
        break
      case 0x5b:
        levels.push({ key: undefined, index: 0 })
        break
      case 0x7d:
      case 0x5d:
        levels.pop()
        break
      case 0x3a:
        if (level !== undefined) level.key = lastText
        break
      case 0x2c:
        if (level !== undefined) level.index++
        break
    }
    place++
  }
  return pathOf(levels)
}

function pathOf(levels: readonly { key: string | undefined; index: number }[]): string {
  let path = ''
  for (const { key, index } of levels) {
    if (key === undefined) path += `[${index}]`
    else if (key !== '') path += path === '' ? key : `.${key}`
  }
  return path
}

function endOfString(bytes: Buffer, open: number): number {
  let at = open + 1
  while (at < bytes.length && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1
  return at
}
