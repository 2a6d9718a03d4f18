/**
 * Session replays: parts of recordings, clicks and taps in them, errors and views that belong to them. Clicks
 * and taps are one row each, the other events one row a message. Behaviour of Snuba's ReplaysProcessor.
 */
import {
  arenaBytes,
  cutRow,
  put,
  putAscii,
  putUnsigned,
  rowEnd,
  textOf,
  writtenRow,
} from '../../../std/arena.ts'
import { skipSpace } from '../../../std/arena-json.ts'
import type {
  CreateProcessor,
  Message,
  MessageProcessor,
  Output,
  ProcessorContext,
} from '../../processor/processor.ts'
import { truncateToU32 } from '../message-fields.ts'
import { emptyText, nilUuid, PayloadFields } from '../payload/payload-fields.ts'
import { putStrings } from '../payload/payload-list.ts'
import { timeMs } from '../seconds-to-ms.ts'
import { type PutColumn, RowTemplate } from './columns.ts'
import { eventColumns, eventSeconds, eventString, placeColumns } from './replay-columns.ts'
import { type EventField, eventField, ReplayEvent, unknownType } from './replay-event.ts'

const clickNames = [
  'alt',
  'aria_label',
  'class',
  'event_hash',
  'id',
  'is_dead',
  'is_rage',
  'node_id',
  'component_name',
  'role',
  'tag',
  'testid',
  'text',
  'timestamp',
  'title',
] as const
const tapNames = ['message', 'view_class', 'view_id', 'event_hash', 'timestamp'] as const

const memory = arenaBytes()
const event = new ReplayEvent()
const clickFields = new PayloadFields(clickNames, { path: 'payload.clicks[].', after: event.fields })
const tapFields = new PayloadFields(tapNames, { path: 'payload.taps[].', after: event.fields })

/** One click or tap of an event. */
type Item = { event: ReplayEvent; fields: PayloadFields }

/** What an item's row has of the event around it. */
const itemColumns = {
  environment: ({ event }: Item) => eventString('environment')(event),
  offset: ({ event }: Item) => placeColumns.offset(event),
  partition: ({ event }: Item) => placeColumns.partition(event),
  project_id: ({ event }: Item) => placeColumns.project_id(event),
  replay_id: ({ event }: Item) => placeColumns.replay_id(event),
  retention_days: ({ event }: Item) => placeColumns.retention_days(event),
}

const click = {
  field: (name: (typeof clickNames)[number]) => clickNames.indexOf(name),
  string: (name: (typeof clickNames)[number]) => itemString(clickNames.indexOf(name)),
}

const clickTemplate = new RowTemplate<Item>({
  ...itemColumns,
  click_alt: click.string('alt'),
  click_aria_label: click.string('aria_label'),
  click_class: ({ fields }) => {
    const field = click.field('class')
    if (!putStrings(fields.start(field))) fields.refuse(field, 'a list of strings')
  },
  click_component_name: ({ fields }) => {
    const field = click.field('component_name')
    if (fields.isAbsent(field)) put(emptyText)
    else fields.putString(field)
  },
  click_id: click.string('id'),
  click_is_dead: itemUnsigned(click.field('is_dead'), 0xff),
  click_is_rage: itemUnsigned(click.field('is_rage'), 0xff),
  click_node_id: itemUnsigned(click.field('node_id'), 0xffff_ffff),
  click_role: click.string('role'),
  click_tag: click.string('tag'),
  click_testid: click.string('testid'),
  click_text: click.string('text'),
  click_title: click.string('title'),
  event_hash: ({ fields }) => fields.putUuid(click.field('event_hash')),
  timestamp: itemSeconds(click.field('timestamp')),
})

const tapTemplate = new RowTemplate<Item>({
  ...itemColumns,
  tap_message: itemString(tapNames.indexOf('message')),
  tap_view_class: itemString(tapNames.indexOf('view_class')),
  tap_view_id: itemString(tapNames.indexOf('view_id')),
  event_hash: ({ fields }) => fields.putUuid(tapNames.indexOf('event_hash')),
  timestamp: itemSeconds(tapNames.indexOf('timestamp')),
})

const eventTemplate = new RowTemplate<ReplayEvent>(eventColumns)

const linkTemplate = new RowTemplate<ReplayEvent>({
  ...placeColumns,
  debug_id: linkedId('debug_id'),
  error_id: linkedId('error_id'),
  event_hash: ({ fields }) => fields.putUuid(eventField('event_hash')),
  fatal_id: linkedId('fatal_id'),
  info_id: linkedId('info_id'),
  timestamp: eventSeconds('timestamp'),
  warning_id: linkedId('warning_id'),
})

const viewedTemplate = new RowTemplate<ReplayEvent>({
  ...placeColumns,
  event_hash: viewerHash,
  timestamp: eventSeconds('timestamp'),
  viewed_by_id: ({ fields }) => fields.putU64(eventField('viewed_by_id')),
})

/** A text of the payload may be in a row up to three times. */
const repeatsMax = 3
/** More than UUIDs with hyphens, numbers and brackets take beyond the texts they are made of. */
const rowBytesExtra = 1024

export const createReplays: CreateProcessor = (context) => new Replays(context)

class Replays implements MessageProcessor {
  readonly #uuid: () => string

  constructor({ uuid }: ProcessorContext) {
    this.#uuid = uuid
  }

  process({ value, offset, partition }: Message, output: Output): void {
    const type = event.read(value)
    event.uuid = this.#uuid
    event.offset = offset
    event.partition = partition
    switch (type) {
      case 'replay_event':
        event.readDetails()
        this.#writeEvent(eventTemplate, value, output)
        break
      case 'replay_actions':
        this.#writeItems(clickTemplate, { field: 'clicks', fields: clickFields, value }, output)
        break
      case 'replay_tap':
        this.#writeItems(tapTemplate, { field: 'taps', fields: tapFields, value }, output)
        break
      case 'event_link':
        this.#writeEvent(linkTemplate, value, output)
        break
      case 'replay_viewed':
        this.#writeEvent(viewedTemplate, value, output)
        break
      default:
        throw unknownType(type)
    }
    output.times({ originMs: timeMs(Math.trunc(event.envelope.startTime)) })
  }

  #writeEvent(template: RowTemplate<ReplayEvent>, value: Buffer, output: Output): void {
    template.put(event, repeatsMax * value.length + rowBytesExtra)
    output.splice(writtenRow(), '}')
  }

  #writeItems(
    template: RowTemplate<Item>,
    { field, fields, value }: { field: EventField; fields: PayloadFields; value: Buffer },
    output: Output,
  ): void {
    const position = eventField(field)
    let at = event.fields.start(position)
    if (at === 0 || memory[at] !== 0x5b) event.fields.refuse(position, 'a list of objects')
    at = skipSpace(at + 1)
    // Rows check it; a message without any has to be right as well.
    if (memory[at] === 0x5d) event.fields.optionalText(eventField('environment'))
    const item = { event, fields }
    const valuesBytesMax = repeatsMax * value.length + rowBytesExtra
    while (memory[at] !== 0x5d) {
      at = skipSpace(fields.read(at))
      template.put(item, valuesBytesMax)
      output.splice(writtenRow(), '}')
      if (memory[at] === 0x2c) at = skipSpace(at + 1)
    }
  }
}

function itemString(field: number): PutColumn<Item> {
  return ({ fields }) => fields.putString(field)
}

function itemUnsigned(field: number, max: number): PutColumn<Item> {
  return ({ fields }) => putUnsigned(fields.unsigned(field, max))
}

function itemSeconds(field: number): PutColumn<Item> {
  return ({ fields }) => putUnsigned(truncateToU32(fields.float(field)))
}

function linkedId(field: EventField): PutColumn<ReplayEvent> {
  const position = eventField(field)
  return ({ fields }) => fields.putOptionalUuid(position, nilUuid)
}

/** A UUID of 64 zeros and the viewer's number: one for each viewer. */
function viewerHash({ fields }: ReplayEvent): void {
  const field = eventField('viewed_by_id')
  const start = fields.start(field)
  if (start === 0) fields.refuse(field, 'an integer')
  putAscii('"00000000-0000-0000-')
  const before = rowEnd()
  fields.putU64(field)
  const viewer = BigInt(textOf(before, rowEnd(), 'latin1'))
  cutRow(before)
  const hex = viewer.toString(16).padStart(16, '0')
  putAscii(`${hex.slice(0, 4)}-${hex.slice(4)}"`)
}
