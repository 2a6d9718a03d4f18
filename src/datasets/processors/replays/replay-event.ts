/**
 * The events of a replay as they stand in its payload. All kinds of events are read by one set of fields;
 * which of them count depends on the kind.
 */
import { hash } from 'node:crypto'
import { arenaBytes, putByte, textOf } from '../../../std/arena.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { parseIpAddress } from '../event-fields/ip-address.ts'
import { PayloadFields } from '../payload/payload-fields.ts'
import { putStrings, putUuids, visitList } from '../payload/payload-list.ts'
import { ReplayEnvelope } from './replay-envelope.ts'

const memory = arenaBytes()

const eventNames = [
  'type',
  'replay_id',
  'timestamp',
  'environment',
  'event_hash',
  'contexts',
  'dist',
  'is_archived',
  'platform',
  'release',
  'replay_start_timestamp',
  'replay_type',
  'sdk',
  'segment_id',
  'urls',
  'segment_names',
  'user',
  'trace_ids',
  'error_ids',
  'tags',
  'clicks',
  'taps',
  'debug_id',
  'error_id',
  'fatal_id',
  'info_id',
  'warning_id',
  'viewed_by_id',
] as const

export type EventField = (typeof eventNames)[number]

const contextNames = ['browser', 'device', 'os', 'replay', 'ota_updates'] as const
const versionNames = ['name', 'version']
const transaction = 'transaction'
const segmentsCached = 4096

/** Position of a field by its name. */
function positions<const Name extends string>(names: readonly Name[]): (name: Name) => number {
  const byName = new Map<string, number>(names.map((name, index) => [name, index]))
  return (name) => byName.get(name) ?? -1
}

export const eventField = positions(eventNames)
const contextField = positions(contextNames)

export const user = { username: 0, id: 1, email: 2, ipAddress: 3, geo: 4 } as const
export const geo = { city: 0, countryCode: 1, region: 2, subdivision: 3 } as const
export const device = { brand: 0, family: 1, model: 2, name: 3 } as const
export const version = { name: 0, version: 1 } as const
export const rates = { error: 0, session: 1 } as const
export const updates = { channel: 0, runtimeVersion: 1, updateId: 2 } as const

/** Where a piece of the payload begins and ends. */
export type Span = { start: number; end: number }

/** There is one, as there is one arena. */
export class ReplayEvent {
  readonly envelope = new ReplayEnvelope()
  readonly fields = new PayloadFields(eventNames, { path: 'payload.', after: this.envelope.fields })
  readonly #contexts = new PayloadFields(contextNames, { path: 'payload.contexts.', after: this.fields })
  readonly browser = new PayloadFields(versionNames, {
    path: 'payload.contexts.browser.',
    after: this.#contexts,
  })
  readonly os = new PayloadFields(versionNames, { path: 'payload.contexts.os.', after: this.browser })
  readonly device = new PayloadFields(['brand', 'family', 'model', 'name'], {
    path: 'payload.contexts.device.',
    after: this.os,
  })
  readonly rates = new PayloadFields(['error_sample_rate', 'session_sample_rate'], {
    path: 'payload.contexts.replay.',
    after: this.device,
  })
  readonly updates = new PayloadFields(['channel', 'runtime_version', 'update_id'], {
    path: 'payload.contexts.ota_updates.',
    after: this.rates,
  })
  readonly sdk = new PayloadFields(versionNames, { path: 'payload.sdk.', after: this.updates })
  readonly user = new PayloadFields(['username', 'id', 'email', 'ip_address', 'geo'], {
    path: 'payload.user.',
    after: this.sdk,
  })
  readonly geo = new PayloadFields(['city', 'country_code', 'region', 'subdivision'], {
    path: 'payload.user.geo.',
    after: this.user,
  })
  /** The user's address in its usual form, if it is one. */
  address: { version: 4 | 6; text: string } | undefined
  tagKeys: Span[] = []
  /** A `start` of 0 is null. */
  tagValues: Span[] = []
  title: Span | undefined
  offset = 0
  partition = 0
  readonly #segmentHashes: string[] = []
  /** Makes a random UUID. */
  uuid: () => string = () => ''

  read(value: Buffer): string {
    this.envelope.read(value, this.fields)
    return this.fields.text(eventField('type'))
  }

  /** Reads what only `replay_event` has: its objects and tags. */
  readDetails(): void {
    const contexts = this.#contexts
    readNested(this.fields, eventField('contexts'), contexts)
    readNested(contexts, contextField('browser'), this.browser)
    readNested(contexts, contextField('device'), this.device)
    readNested(contexts, contextField('os'), this.os)
    readNested(contexts, contextField('replay'), this.rates)
    readNested(contexts, contextField('ota_updates'), this.updates)
    readNested(this.fields, eventField('sdk'), this.sdk)
    readNested(this.fields, eventField('user'), this.user)
    readNested(this.user, user.geo, this.geo)
    const address = this.user.optionalText(user.ipAddress)
    this.address = address === undefined ? undefined : parseIpAddress(address)
    this.#readTags()
  }

  putStrings(field: EventField): void {
    this.#putList(field, putStrings)
  }

  putUuids(field: EventField): void {
    this.#putList(field, putUuids)
  }

  /** The md5 of a segment's decimal number, as a UUID. */
  segmentHash(segment: number): string {
    const known = this.#segmentHashes[segment]
    if (known !== undefined) return known
    const md5 = hash('md5', String(segment), 'hex')
    const uuid = `${md5.slice(0, 8)}-${md5.slice(8, 12)}-${md5.slice(12, 16)}-${md5.slice(16, 20)}-${md5.slice(20)}`
    if (segment < segmentsCached) this.#segmentHashes[segment] = uuid
    return uuid
  }

  #putList(field: EventField, putList: (at: number) => boolean): void {
    const { fields } = this
    const position = eventField(field)
    if (fields.isMissing(position)) {
      putByte(0x5b)
      putByte(0x5d)
    } else if (!putList(fields.start(position)))
      fields.refuse(position, putList === putUuids ? 'a list of UUIDs' : 'a list of strings')
  }

  /** Pairs of a key and a value. The tag `transaction` is the title, the last one counts. */
  #readTags(): void {
    const { fields } = this
    this.tagKeys.length = 0
    this.tagValues.length = 0
    this.title = undefined
    const position = eventField('tags')
    if (fields.isMissing(position)) return
    const count = visitList(fields.start(position), (at) => this.#readTag(at))
    if (count === undefined) fields.refuse(position, 'a list of pairs of a string and a string or null')
  }

  #readTag(at: number): boolean {
    let key: Span = { start: 0, end: 0 }
    let value: Span = { start: 0, end: 0 }
    const count = visitList(at, (start, end, index) => {
      const isString = memory[start] === 0x22
      if (index === 0) key = { start, end }
      else if (isString) value = { start, end }
      return isString || (index === 1 && memory[start] === 0x6e)
    })
    if (count !== 2) return false
    if (isText(key, transaction)) this.title = value
    else {
      this.tagKeys.push(key)
      this.tagValues.push(value)
    }
    return true
  }
}

/** Finds the fields of an object that may be absent: then all of them are. */
function readNested(from: PayloadFields, field: number, into: PayloadFields): void {
  if (from.isAbsent(field)) into.clear()
  else into.readFrom(from, field)
}

function isText({ start, end }: Span, text: string): boolean {
  const source = textOf(start + 1, end - 1, 'latin1')
  return source === text || (source.includes('\\') && JSON.parse(`"${source}"`) === text)
}

export function unknownType(type: string): InvalidMessage {
  return new InvalidMessage(`There is no kind of replay event named ${JSON.stringify(type)}.`, {
    path: 'payload.type',
  })
}
