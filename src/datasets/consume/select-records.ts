/**
 * Which messages of a batch the processor gets to see: not those that the pre-filter leaves out, those behind
 * the time at which to stop, and those that do not match the schema where it is enforced.
 */
import type { LogRecord } from '../../ports/log.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { CheckMessage, SchemaMismatch } from '../storage/message-schema.ts'
import type { StorageStream } from '../storage/storage.ts'
import { type AgeRule, isChosen, isOld } from './age-rule.ts'
import { schemaViolated, tooOld } from './dead-letters.ts'

export type SelectionRules = {
  preFilter: StorageStream['preFilter']
  /** Messages of a later second give no rows. */
  stopAtSeconds: number | undefined
  schema: SchemaRule | undefined
  /** As of the batch; none where old messages are like any others. */
  age?: (() => AgeRule | undefined) | undefined
  onOld?: ((wasChosen: boolean) => void) | undefined
}

export type SchemaRule = {
  check: CheckMessage
  isEnforced: boolean
  /** Where it is not enforced: how many messages of a batch are looked at. Parsing all twice would cost too much. */
  checksPerBatchMax: number
  onViolation: () => void
}

export type Selection = {
  records: readonly LogRecord[]
  /** Index in the batch of each record; none if all were chosen. */
  owners: readonly number[] | undefined
  /** One per record of the batch; those that were chosen are expected to become rows. */
  outcomes: Outcome[]
}

const written: Outcome = { kind: 'next', records: [] }
const filtered = skipped('pre-filter')
const late = skipped('after the time to stop')

/** Counted, by why. */
export function skipped(why: string): Outcome {
  return { kind: 'drop', reason: 'skipped_message', details: { why }, isQuiet: true }
}

export function selectRecords(records: readonly LogRecord[], rules: SelectionRules): Selection {
  const outcomes: Outcome[] = []
  let chosenCount = 0
  const age = rules.age?.()
  for (const record of records) {
    const outcome = exclude(record, rules, { before: chosenCount, age })
    outcomes.push(outcome ?? written)
    if (outcome === undefined) chosenCount++
  }
  if (chosenCount === records.length) return { records, owners: undefined, outcomes }
  const owners = [...outcomes.keys()].filter((index) => outcomes[index] === written)
  const chosen = owners.flatMap((index) => records[index] ?? [])
  return { records: chosen, owners, outcomes }
}

type Batch = { before: number; age: AgeRule | undefined }

function exclude(record: LogRecord, rules: SelectionRules, { before, age }: Batch): Outcome | undefined {
  const { preFilter, stopAtSeconds, schema } = rules
  if (stopAtSeconds !== undefined && Math.floor(record.timestampMs / 1000) > stopAtSeconds) return late
  if (preFilter !== undefined && record.headers[preFilter.header] !== preFilter.equals) return filtered
  if (age !== undefined && isOld(record, age)) {
    const wasChosen = isChosen(record, age)
    rules.onOld?.(wasChosen)
    if (wasChosen) return tooOld(record, age.thresholdMs)
  }
  if (schema === undefined || (!schema.isEnforced && before >= schema.checksPerBatchMax)) return undefined
  const mismatch = mismatchOf(record.value, schema.check)
  if (mismatch === undefined) return undefined
  schema.onViolation()
  return schema.isEnforced ? schemaViolated(record, mismatch) : undefined
}

function mismatchOf(value: Buffer, check: CheckMessage): SchemaMismatch | undefined {
  try {
    const message: unknown = JSON.parse(value.toString())
    return check(message)
  } catch (error) {
    if (error instanceof SyntaxError) return { path: '', message: error.message }
    throw error
  }
}
