/** Who groups are assigned to, written down plainly after Snuba's GroupAssigneeProcessor. */
import type { CreateProcessor } from '../../../src/datasets/processor/processor.ts'
import { type Columns, cell, createChangeProcessor, integerCell, postgresTime } from './change.ts'
import { unsigned } from './strict-json.ts'

/** An integer, or the digits of one, or null. */
function idCell(columns: Columns, name: string): bigint | null {
  const value = cell(columns, name)
  if (value === null) return value
  const isDigits = typeof value === 'string' && /^\d+$/.test(value)
  return unsigned(64)(isDigits ? BigInt(value) : value, name)
}

export const createProcessor: CreateProcessor = createChangeProcessor({
  table: 'sentry_groupasignee',
  rowOf: (columns, offset) => ({
    offset,
    project_id: integerCell(columns, 'project_id'),
    group_id: integerCell(columns, 'group_id'),
    record_deleted: 0,
    date_added: postgresTime(cell(columns, 'date_added'), 'date_added'),
    user_id: idCell(columns, 'user_id'),
    team_id: idCell(columns, 'team_id'),
  }),
  deletedRowOf: (key, offset) => ({
    offset,
    project_id: integerCell(key, 'project_id'),
    group_id: integerCell(key, 'group_id'),
    record_deleted: 1,
    date_added: null,
    user_id: null,
    team_id: null,
  }),
})
