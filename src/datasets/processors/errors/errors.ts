/**
 * Error events, as Sentry puts them on the topic `events`: `[2, "insert", event, state]` becomes a row of
 * `errors_local`, `[2, <other type>, {project_id, ...}]` a replacement with the project as its key. The rows are
 * those of Snuba's ErrorsProcessor; docs/reference/processors/errors.md lists them and where Rowmill differs.
 *
 * An event is some kilobytes of which a row takes a part, so it is not parsed into objects: a scanner walks its
 * bytes once, checks all of them, and remembers the places of what the row needs; those pieces are copied.
 */
import { isUtf8 } from 'node:buffer'
import { textOf } from '../../../std/arena.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import {
  type CreateProcessor,
  enforceRetention,
  type Message,
  type MessageProcessor,
  type Output,
  type ProcessorContext,
} from '../../processor/processor.ts'
import { JsonScanner } from '../event-fields/json-scanner.ts'
import { readUnsigned, readUnsigned64 } from '../event-fields/read-fields.ts'
import { ErrorEvent } from './error-event.ts'
import { messageTypes, replacementKeys } from './error-keys.ts'
import { readEvent } from './read-event.ts'
import { ErrorRowWriter } from './write-row.ts'

const versionSupported = 2
const unsigned8Max = 255

/** Options: `project_stacktrace_blacklist`, ids of projects whose exceptions and frames are left out. */
export const createErrorsProcessor: CreateProcessor = (context) => new ErrorsReader(context)

class ErrorsReader implements MessageProcessor {
  readonly #context: ProcessorContext
  readonly #withoutStacks: ReadonlySet<string>
  readonly #scanner = new JsonScanner()
  readonly #event = new ErrorEvent()
  readonly #writer = new ErrorRowWriter(this.#event)

  constructor(context: ProcessorContext) {
    if (context.format !== 'JSONEachRow') throw new Error('The errors processor writes JSONEachRow only.')
    this.#context = context
    const projects = context.options.project_stacktrace_blacklist
    this.#withoutStacks = new Set(Array.isArray(projects) ? projects.map(String) : [])
  }

  process(message: Message, output: Output): void {
    const { value } = message
    if (!isUtf8(value)) throw new InvalidMessage('The message is not valid UTF-8.')
    const scanner = this.#scanner
    scanner.open(value)
    scanner.enterArray()
    this.#item('a version')
    if (readUnsigned(scanner, unsigned8Max) !== versionSupported)
      scanner.fail(`Expected the version ${versionSupported}.`)
    this.#item('a type')
    scanner.string()
    const isInsert = messageTypes.find(scanner) === 'insert'
    this.#item('an event')
    if (isInsert) this.#insert(message, output)
    else this.#replace(output)
  }

  #insert(message: Message, output: Output): void {
    const scanner = this.#scanner
    const event = this.#event
    event.clear()
    readEvent(scanner, event, this.#context.nowMs)
    this.#item('a state')
    scanner.skip()
    this.#finish()
    if (this.#withoutStacks.size > 0) {
      const project = textOf(event.projectIdStart, event.projectIdEnd, 'latin1')
      if (this.#withoutStacks.has(project)) event.clearStacks()
    }
    const retentionDays = enforceRetention(event.retentionDays, this.#context.retention)
    const row = this.#writer.write({ message, retentionDays })
    if (event.receivedSeconds !== undefined)
      output.times({ originMs: Math.trunc(event.receivedSeconds) * 1000 })
    // The row's last byte, a brace, is what `splice` replaces.
    output.splice(row, '}')
  }

  #replace(output: Output): void {
    const scanner = this.#scanner
    let project: string | undefined
    let seen = 0
    scanner.enterObject()
    while (scanner.nextKey()) {
      const key = replacementKeys.find(scanner)
      seen = scanner.once(seen)
      if (key === '') scanner.skip()
      else {
        readUnsigned64(scanner)
        project = textOf(scanner.start, scanner.end, 'latin1')
      }
    }
    const key = project ?? scanner.fail('The replacement has no project_id.')
    this.#finish()
    output.replacement(key)
  }

  #item(what: string): void {
    if (!this.#scanner.nextItem()) this.#scanner.fail(`Expected ${what}.`)
  }

  #finish(): void {
    if (this.#scanner.nextItem()) this.#scanner.fail('Expected the end of the message.')
    this.#scanner.finish()
  }
}
