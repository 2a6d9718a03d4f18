/**
 * The message around a replay's event: whose it is, and the event itself as an object or as an array of the
 * bytes of its JSON.
 */
import { isUtf8 } from 'node:buffer'
import { arenaBytes, bytesOf, cutRow, rowEnd } from '../../../std/arena.ts'
import { findMessageFields, foundLargeNumber, holdsLargeNumber } from '../../../std/arena-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { invalidJson, readMessage } from '../message-fields.ts'
import { PayloadFields } from '../payload/payload-fields.ts'

const memory = arenaBytes()
const [payload, startTime, projectId, replayId, retentionDays] = [0, 1, 2, 3, 4] as const

export class ReplayEnvelope {
  readonly fields = new PayloadFields(['payload', 'start_time', 'project_id', 'replay_id', 'retention_days'])
  /** Seconds since 1970. */
  startTime = 0
  retentionDays = 0

  /** Reads a message and finds the fields of the event in it. */
  read(value: Buffer, event: PayloadFields): void {
    const { fields } = this
    readMessage(value, fields.set)
    this.startTime = fields.float(startTime)
    this.retentionDays = fields.unsigned(retentionDays, 0xffff)
    checkIds(fields)
    const at = fields.start(payload)
    const hasLargeNumber = foundLargeNumber()
    if (at !== 0 && memory[at] === 0x5b) {
      readListed(at, fields.end(payload), event)
      if (foundLargeNumber()) throw tooLarge()
    } else {
      event.readFrom(fields, payload)
      if (hasLargeNumber && holdsLargeNumber(at)) throw tooLarge()
    }
  }

  putProjectId(): void {
    this.fields.putU64(projectId)
  }

  putReplayId(): void {
    this.fields.putUuid(replayId)
  }
}

/** Snuba keeps all fields of the event before it looks at them. */
function tooLarge(): InvalidMessage {
  return new InvalidMessage('A number in the payload is beyond the range of doubles.', { path: 'payload' })
}

/** The project and replay must be told even where no row has them. */
function checkIds(fields: PayloadFields): void {
  const row = rowEnd()
  fields.putU64(projectId)
  fields.putUuid(replayId)
  cutRow(row)
}

/** Puts the listed bytes where their list was, which is longer, and finds the fields of the event. */
function readListed(at: number, end: number, event: PayloadFields): void {
  const innerEnd = unlist(at, end)
  if (!isUtf8(bytesOf(at, innerEnd)))
    throw new InvalidMessage('The payload is not valid UTF-8.', { path: 'payload' })
  try {
    findMessageFields(at, innerEnd, event.set)
  } catch (error) {
    throw invalidJson(error)
  }
}

/** The list is known to be valid JSON. Answers where its bytes end. */
function unlist(at: number, end: number): number {
  let into = at
  let place = at + 1
  while (place < end - 1) {
    let byte = memory[place++] ?? 0
    if (byte <= 0x20 || byte === 0x2c) continue
    let value = 0
    while (byte >= 0x30 && byte <= 0x39) {
      value = value * 10 + byte - 0x30
      byte = memory[place++] ?? 0
    }
    const isEnd = byte === 0x2c || byte === 0x5d || byte <= 0x20
    if (!isEnd || value > 0xff)
      throw new InvalidMessage('The field payload must list integers from 0 to 255.', { path: 'payload' })
    memory[into++] = value
  }
  memory[into] = 0
  return into
}
