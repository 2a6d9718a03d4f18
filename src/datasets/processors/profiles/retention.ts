import { enforceRetention, type RetentionRule } from '../../processor/processor.ts'
import type { FieldReader } from '../message-fields.ts'

/** Days that a message asks for by a field of 16 bits, which may be absent or null, as the rule allows them. */
export function retentionOf(read: FieldReader, field: number, rule: RetentionRule): number {
  return enforceRetention(read.isMissing(field) ? undefined : read.unsigned(field, 0xffff), rule)
}
