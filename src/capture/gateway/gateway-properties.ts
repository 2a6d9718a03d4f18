/** The properties that only the AI gateway may set, `$ai_gateway…`: found, taken out, and set in an event's JSON. */
import { dataText, type EventData } from '../captured-event.ts'
import { endOfValue, visitMembers } from '../intake/raw-json.ts'

const prefix = '$ai_gateway'

/**
 * Whether a name with the prefix may stand in it. A name can be hidden behind a \u escape, so every one of these
 * is worth a look; a value that looks like a name costs only that look.
 */
export function mayHoldGatewayProperties(data: EventData): boolean {
  if (typeof data === 'string') return data.includes(prefix) || data.includes('\\u')
  const bytes = data.bytes.subarray(data.from, data.until)
  return bytes.includes(prefix) || bytes.includes('\\\\u')
}

export type Marks = Readonly<Record<string, string | boolean>>
export type Replaced = { data: string; removed: readonly string[] }

/** Sets `marks`, whatever stood there, and leaves the rest of these properties as it is. */
export function setGatewayProperties(data: EventData, marks: Marks): Replaced {
  return replaceProperties(data, (name) => Object.hasOwn(marks, name), marks)
}

/** Takes all of these properties away, and sets `marks`. */
export function stripGatewayProperties(data: EventData, marks: Marks = {}): Replaced {
  return replaceProperties(data, (name) => name.startsWith(prefix), marks)
}

/** What is added stands at the end. The values that stay are the same byte for byte. */
function replaceProperties(data: EventData, isTaken: (name: string) => boolean, added: Marks): Replaced {
  const text = dataText(data)
  const removed: string[] = []
  const members: string[] = []
  let hasProperties = false
  visitMembers(text, 0, (key, valueAt) => {
    if (key !== 'properties' || text[valueAt] !== '{') return keep(members, { text, key, valueAt })
    hasProperties = true
    const inner: string[] = []
    const end = visitMembers(text, valueAt, (name, at) => {
      if (!isTaken(name)) return keep(inner, { text, key: name, valueAt: at })
      removed.push(name)
      return undefined
    })
    for (const [name, value] of Object.entries(added))
      inner.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
    members.push(`"properties":{${inner.join(',')}}`)
    return end
  })
  if (!hasProperties && Object.keys(added).length > 0) members.push(`"properties":${JSON.stringify(added)}`)
  return { data: `{${members.join(',')}}`, removed }
}

function keep(
  members: string[],
  { text, key, valueAt }: { text: string; key: string; valueAt: number },
): number {
  const end = endOfValue(text, valueAt)
  members.push(`${JSON.stringify(key)}:${text.slice(valueAt, end)}`)
  return end
}
