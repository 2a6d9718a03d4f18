/**
 * What a message processor of one's own is written with: `import … from 'rowmill/processor'`. A module exports
 * a function `createProcessor` of the type `CreateProcessor`; `runMessage` runs one in a test.
 */
export {
  floatText,
  JsonFloat,
  type LosslessObject,
  type LosslessValue,
  parseLossless,
  stringifyLossless,
} from '../../std/lossless-json.ts'
export { ColumnRows } from './columns/columns.ts'
export { InvalidMessage } from './invalid-message.ts'
export {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
  type RetentionRule,
  type Row,
  type RowFormat,
} from './processor.ts'
export { type MadeRow, type MessageEnd, type MessageInput, runMessage } from './run-message.ts'
