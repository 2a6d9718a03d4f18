/** What both kinds of metric messages have in common: their fields, and whom the metric belongs to. */
import { arenaBytes, constantPiece, put, putAscii, putCopy } from '../../../std/arena.ts'
import { JsonFieldSet, type ReadValue } from '../../../std/arena-json.ts'
import { FieldReader } from '../message-fields.ts'

const memory = arenaBytes()
const letters = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))

const names = [
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
]

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

const [useCase, orgId, projectId, metricId] = [
  constantPiece('{"use_case_id":'),
  constantPiece(',"org_id":'),
  constantPiece(',"project_id":'),
  constantPiece(',"metric_id":'),
]

/** The fields of a message; `readTags` reads its tags together with them. */
export class MetricFields extends FieldReader {
  readonly set: JsonFieldSet

  constructor(readTags: ReadValue) {
    const set = new JsonFieldSet(names)
    super(set)
    set.readers[metricField.tags] = readTags
    this.set = set
  }

  /** Begins a row with the ids. The use case must have been checked; `useCaseAbsent` is JSON text. */
  putIds(useCaseAbsent: string): void {
    put(useCase)
    if (this.has(metricField.useCaseId))
      putCopy(this.start(metricField.useCaseId), this.end(metricField.useCaseId))
    else putAscii(useCaseAbsent)
    put(orgId)
    this.#putId(metricField.orgId)
    put(projectId)
    this.#putId(metricField.projectId)
    put(metricId)
    this.#putId(metricField.metricId)
  }

  #putId(field: number): void {
    this.u64(field)
    putCopy(this.start(field), this.end(field))
  }

  /** The letter of the metric's type; the text of a longer one. */
  type(): string {
    const start = this.start(metricField.type)
    const isLetter = this.end(metricField.type) - start === 3 && memory[start] === 0x22
    return isLetter ? (letters[memory[start + 1] ?? 0] ?? '') : this.text(metricField.type)
  }
}
