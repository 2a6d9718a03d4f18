/** What both kinds of metric messages have in common: names of fields, and whom the metric belongs to. */
import { arenaBytes, constantPiece, put, putAscii, putCopy } from '../../../std/arena.ts'
import { JsonFieldSet } from '../../../std/arena-json.ts'
import { FieldReader } from '../message-fields.ts'

const memory = arenaBytes()
const letters = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))

export const metricFields = new JsonFieldSet([
  'use_case_id',
  'org_id',
  'project_id',
  'metric_id',
  'timestamp',
  'sentry_received_timestamp',
  'tags',
  'type',
  'value',
  'retention_days',
  'sampling_weight',
  'aggregation_option',
])

/** Places in the set. */
export const metricField = {
  useCaseId: 0,
  orgId: 1,
  projectId: 2,
  metricId: 3,
  timestamp: 4,
  received: 5,
  tags: 6,
  type: 7,
  value: 8,
  retentionDays: 9,
  samplingWeight: 10,
  aggregationOption: 11,
} as const

export const readMetric = new FieldReader(metricFields)

const [useCase, orgId, projectId, metricId] = [
  constantPiece('{"use_case_id":'),
  constantPiece(',"org_id":'),
  constantPiece(',"project_id":'),
  constantPiece(',"metric_id":'),
]

/** Begins a row with the ids. The use case must have been checked; `useCaseAbsent` is JSON text. */
export function putMetricIds(useCaseAbsent: string): void {
  put(useCase)
  if (readMetric.has(metricField.useCaseId))
    putCopy(readMetric.start(metricField.useCaseId), readMetric.end(metricField.useCaseId))
  else putAscii(useCaseAbsent)
  put(orgId)
  putId(metricField.orgId)
  put(projectId)
  putId(metricField.projectId)
  put(metricId)
  putId(metricField.metricId)
}

function putId(field: number): void {
  readMetric.u64(field)
  putCopy(readMetric.start(field), readMetric.end(field))
}

/** The letter of the metric's type; the text of a longer one. */
export function readMetricType(): string {
  const start = readMetric.start(metricField.type)
  const isLetter = readMetric.end(metricField.type) - start === 3 && memory[start] === 0x22
  return isLetter ? (letters[memory[start + 1] ?? 0] ?? '') : readMetric.text(metricField.type)
}
