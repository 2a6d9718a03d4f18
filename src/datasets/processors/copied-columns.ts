/**
 * Columns of a row that are written while the fields of a message are found, in the order of the message. A
 * field whose column has its name and its very text needs no work of its own: fields of that kind which follow
 * each other are copied in one piece, names and commas included. As strict as `FieldColumns`.
 */
import { arenaBytes, constantPiece, type Piece, put, putByte, putCopy } from '../../std/arena.ts'
import { type FieldVisitor, fieldEnd, fieldStart, findFields, JsonFieldSet } from '../../std/arena-json.ts'
import { InvalidMessage } from '../processor/invalid-message.ts'
import { type FieldColumn, findLoaded, isValue, kindNames, putValue } from './message-fields.ts'

const memory = arenaBytes()
const letterN = 0x6e
const quote = 0x22
const comma = 0x2c
/** Quotes and a colon. */
const nameBytesExtra = 3
/** Kinds whose column is the text of the message. */
const copiedKinds: ReadonlySet<FieldColumn['kind']> = new Set([
  'string',
  'u8',
  'u16',
  'u32',
  'u64',
  'i64',
  'bool',
])

/** Of one shape for all columns. */
type Column = {
  field: string
  kind: FieldColumn['kind']
  name: Piece
  absentPiece: Piece | undefined
  nullPiece: Piece | undefined
  /** Bytes from the name's quote to the value, if what is accepted of the message is the column. */
  copiedNameBytes: number
  /** Whether null is the column's null. */
  isNullCopied: boolean
}

export type CopiedColumnsOptions = {
  /** Fields that are found as well: their positions in `set` are behind the columns. */
  others?: readonly string[]
  path?: string
  /** See `JsonFieldSet`. */
  base?: number
}

/** Each column has a comma before it. The places of all fields are those of `set`. */
export class CopiedColumns implements FieldVisitor {
  readonly set: JsonFieldSet
  readonly #columns: readonly Column[]
  readonly #path: string
  /** What is to be copied: members of the message with the commas between them. */
  #start = 0
  #end = 0
  #written = 0

  constructor(
    columns: readonly FieldColumn[],
    { others = [], path = '', base = 0 }: CopiedColumnsOptions = {},
  ) {
    this.#path = path
    this.#columns = columns.map(columnOf)
    this.set = new JsonFieldSet([...columns.map(({ field }) => field), ...others], base)
    this.set.visitor = this
  }

  /** For those who find the fields. */
  visit(field: number, nameStart: number): void {
    const column = field < this.#columns.length ? this.#columns[field] : undefined
    if (column === undefined) return
    const { base } = this.set
    const start = fieldStart(base, field)
    const end = fieldEnd(base, field)
    this.#written++
    const isNull = memory[start] === letterN
    if (isNull && column.nullPiece === undefined) throw this.#invalid(column, 'must not be null')
    const isCopied = start - nameStart === column.copiedNameBytes && (!isNull || column.isNullCopied)
    if (!isCopied) {
      this.flush()
      this.#put(column, start, end)
      return
    }
    const isRight =
      isNull || (column.kind === 'string' ? memory[start] === quote : isValue(column.kind, start, end))
    if (!isRight) throw this.#invalid(column, `must be ${kindNames[column.kind]}`)
    if (this.#end !== 0 && nameStart === this.#end + 1) this.#end = end
    else {
      this.flush()
      this.#start = nameStart
      this.#end = end
    }
  }

  /**
   * Adds the columns of a message, which has been loaded, to the row. The row may grow by the message's bytes
   * and the names of the columns: room must have been made.
   */
  putMessage(value: Buffer): void {
    this.#begin()
    findLoaded(value, this.set)
    this.#finish()
  }

  /** Adds the columns of the object at `at`, and returns the place after it. Throws a `SyntaxError`. */
  putObject(at: number, depth: number): number {
    this.#begin()
    const end = findFields(at, this.set, depth)
    this.#finish()
    return end
  }

  /** Forgets what a message left that was refused. */
  #begin(): void {
    this.#end = 0
    this.#written = 0
  }

  #finish(): void {
    this.flush()
    const columns = this.#columns
    const isWhole = this.#written === columns.length
    for (let field = 0; !isWhole && field < columns.length; field++) {
      const column = columns[field]
      if (column === undefined || fieldStart(this.set.base, field) !== 0) continue
      if (column.absentPiece === undefined) throw this.#invalid(column, 'is required')
      put(column.absentPiece)
    }
  }

  #put(column: Column, start: number, end: number): void {
    if (memory[start] === letterN && column.nullPiece !== undefined) {
      put(column.nullPiece)
      return
    }
    put(column.name)
    if (!putValue(column.kind, start, end)) throw this.#invalid(column, `must be ${kindNames[column.kind]}`)
  }

  /** Writes what has been found so far: for a reader of a field that writes to the arena itself. */
  flush(): void {
    if (this.#end === 0) return
    putByte(comma)
    putCopy(this.#start, this.#end)
    this.#end = 0
  }

  #invalid({ field }: Column, what: string): InvalidMessage {
    return new InvalidMessage(`The field ${field} ${what}.`, { path: `${this.#path}${field}` })
  }
}

function columnOf({ field, kind, column = field, absent, null: nullText }: FieldColumn): Column {
  const name = `,${JSON.stringify(column)}:`
  const pieceOf = (text: string | undefined) => (text === undefined ? undefined : constantPiece(name + text))
  const isCopied = column === field && copiedKinds.has(kind)
  return {
    field,
    kind,
    name: constantPiece(name),
    absentPiece: pieceOf(absent),
    nullPiece: pieceOf(nullText),
    copiedNameBytes: isCopied ? Buffer.byteLength(field) + nameBytesExtra : -1,
    isNullCopied: nullText === 'null',
  }
}
