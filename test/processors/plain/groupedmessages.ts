/** Groups as PostgreSQL has them, written down plainly after Snuba's GroupedMessageProcessor. */
import type { CreateProcessor } from '../../../src/datasets/processor/processor.ts'
import { cell, createChangeProcessor, integerCell, nullableCell, postgresTime } from './change.ts'
import type { Json } from './strict-json.ts'

/** What Python takes for false among the values of a time. */
function isEmpty(value: Json): boolean {
  return value === null || value === ''
}

export const createProcessor: CreateProcessor = createChangeProcessor({
  table: 'sentry_groupedmessage',
  rowOf: (columns, offset) => ({
    offset,
    project_id: integerCell(columns, 'project_id'),
    id: integerCell(columns, 'id'),
    record_deleted: 0,
    status: nullableCell(columns, 'status', 8),
    last_seen: postgresTime(cell(columns, 'last_seen'), 'last_seen'),
    first_seen: postgresTime(cell(columns, 'first_seen'), 'first_seen'),
    active_at: isEmpty(cell(columns, 'active_at'))
      ? null
      : postgresTime(cell(columns, 'active_at'), 'active_at'),
    first_release_id: nullableCell(columns, 'first_release_id'),
  }),
  deletedRowOf: (key, offset) => ({
    offset,
    project_id: integerCell(key, 'project_id'),
    id: integerCell(key, 'id'),
    record_deleted: 1,
    status: null,
    last_seen: null,
    first_seen: null,
    active_at: null,
    first_release_id: null,
  }),
})
