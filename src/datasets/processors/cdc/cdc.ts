/**
 * Copies of two Postgres tables by their replication log: issues and who they are assigned to. A row for each
 * change; the row of the highest offset counts, and a deleted one stays as a mark. Behaviour of Snuba's
 * GroupedMessageProcessor and GroupAssigneeProcessor. The header `table`, where there is one, has been looked
 * at before: see `stream.pre_filter` of the storage.
 */
import { type LosslessValue, stringifyLossless } from '../../../std/lossless-json.ts'
import type { CreateProcessor, Message, MessageProcessor, Output, Row } from '../../processor/processor.ts'
import { columnTime } from '../payload/column-time.ts'
import {
  type ChangedRow,
  columnInteger,
  columnOf,
  invalid,
  nullableInteger,
  postgresTime,
  readChange,
} from './change.ts'

type CopiedTable = {
  /** Its name in Postgres. */
  table: string
  /** The columns that tell rows apart. */
  keys: readonly string[]
  /** The other columns of a row. */
  content(row: ChangedRow): Row
  /** The same columns of a row that was deleted. */
  empty: Row
}

const groupedMessages: CopiedTable = {
  table: 'sentry_groupedmessage',
  keys: ['project_id', 'id'],
  content: (row) => ({
    status: nullableInteger(row, 'status', 0xffn),
    last_seen: columnTimeOf(row, 'last_seen'),
    first_seen: columnTimeOf(row, 'first_seen'),
    active_at: isEmpty(columnOf(row, 'active_at')) ? null : columnTimeOf(row, 'active_at'),
    first_release_id: nullableInteger(row, 'first_release_id'),
  }),
  empty: { status: null, last_seen: null, first_seen: null, active_at: null, first_release_id: null },
}

const groupAssignees: CopiedTable = {
  table: 'sentry_groupasignee',
  keys: ['project_id', 'group_id'],
  content: (row) => ({
    date_added: columnTimeOf(row, 'date_added'),
    user_id: nullableId(row, 'user_id'),
    team_id: nullableId(row, 'team_id'),
  }),
  empty: { date_added: null, user_id: null, team_id: null },
}

export const createGroupedMessages: CreateProcessor = () => new TableCopy(groupedMessages)

export const createGroupAssignees: CreateProcessor = () => new TableCopy(groupAssignees)

class TableCopy implements MessageProcessor {
  readonly #copied: CopiedTable

  constructor(copied: CopiedTable) {
    this.#copied = copied
  }

  process({ value, offset }: Message, output: Output): void {
    const copied = this.#copied
    const read = readChange(value, copied.table)
    if (typeof read === 'string') {
      output.skip(read)
      return
    }
    const { change, committedMs } = read
    if (change.kind === 'delete' || (change.kind === 'update' && isMoved(change)))
      output.row({ offset, ...this.#keysOf(change.oldKeys), record_deleted: 1, ...copied.empty })
    if (change.kind !== 'delete')
      output.row({ offset, ...this.#keysOf(change.row), record_deleted: 0, ...copied.content(change.row) })
    output.times({ originMs: committedMs })
  }

  #keysOf(row: ChangedRow): Row {
    return Object.fromEntries(this.#copied.keys.map((key) => [key, columnInteger(row, key)]))
  }
}

/** Whether an update has changed a key, so that the row with the old one is gone. */
function isMoved({ row, oldKeys }: { row: ChangedRow; oldKeys: ChangedRow }): boolean {
  return [...oldKeys].filter(([key, value]) => textOf(columnOf(row, key)) !== textOf(value)).length > 0
}

function textOf(value: LosslessValue): string {
  return stringifyLossless(value)
}

function columnTimeOf(row: ChangedRow, name: string): string {
  return columnTime(postgresTime(columnOf(row, name), name))
}

function isEmpty(value: LosslessValue): boolean {
  return value === null || value === ''
}

/** A number, also as text; null stays null. */
function nullableId(row: ChangedRow, name: string): number | bigint | null {
  const value = columnOf(row, name)
  if (typeof value !== 'string') return nullableInteger(row, name)
  if (!/^\d+$/.test(value)) throw invalid(name, 'must be an integer')
  return columnInteger(new Map([[name, BigInt(value)]]), name)
}
