/**
 * What a statement may not do here. Ways to the machine (files, programs) are closed to everybody, and so is
 * what chDB survives badly. A read-only request may read tables and nothing else: of table functions only
 * those that make rows or wrap a query are left, because the others reach files, networks, or tables past
 * `additional_table_filters` (`merge` does). The engine's own `readonly` stands behind this; it does not look at
 * the SETTINGS of subqueries, so at the strict level they are refused here.
 */
import { failure } from '../failure.ts'
import type { Token } from './lexer.ts'
import { isMark, isWord, outermost, type ReadStatement, type Statement } from './statement.ts'

/** Functions that reach the machine itself. */
const machineFunctions = new Set([
  ...['file', 'filecluster', 'filesystem', 'executable', 'catboostevaluate', 'python', 'sqlite'],
  ...['iceberglocal', 'iceberglocalcluster', 'paimonlocal', 'deltalakelocal', 'odbc', 'jdbc'],
])

const readOnlyTableFunctions = new Set([
  ...['numbers', 'numbers_mt', 'zeros', 'zeros_mt', 'generate_series', 'generateseries', 'generaterandom'],
  ...['values', 'null', 'view', 'viewifpermitted', 'format', 'primes'],
])

/** Ordinary functions that read tables past the query's filters. */
const filterBypasses = new Set(['joinget', 'joingetornull'])

/** The first four leave a folder that cannot be opened again, or consume in the background; the rest reach the machine. */
const refusedEngines = new Set([
  ...['kafka', 'rabbitmq', 'nats', 'filelog'],
  ...['file', 'executable', 'executablepool', 'sqlite', 'odbc', 'jdbc', 'iceberglocal'],
])

/** With what the statements of ClickHouse begin that are no reads. */
const writeVerbs = new Set([
  ...['insert', 'create', 'attach', 'detach', 'drop', 'undrop', 'rename', 'exchange', 'replace', 'move'],
  ...['alter', 'truncate', 'optimize', 'delete', 'update', 'check', 'backup', 'restore', 'import', 'copy'],
  ...[
    'set',
    'use',
    'grant',
    'revoke',
    'kill',
    'system',
    'begin',
    'commit',
    'rollback',
    'execute',
    'parallel',
  ],
])

export type GuardOptions = {
  isReadOnly: boolean
  /** Refuses every change of settings, as `readonly = 1` does. */
  isStrict: boolean
  tableFunctions: ReadonlySet<string>
}

/** Throws what ClickHouse would: READONLY, ACCESS_DENIED, INTO_OUTFILE_NOT_ALLOWED or NOT_IMPLEMENTED. */
export function guardStatement(statement: Statement, options: GuardOptions): void {
  const { tokens } = statement
  if (options.isReadOnly && statement.kind !== 'read') throw refusalOfWrite(statement)
  if (options.isStrict) refuseSettings(tokens)
  refuseFiles(tokens)
  refuseCalls(tokens, options)
  refuseEngines(tokens)
  refuseCommands(tokens)
}

/** A misspelt SELECT is told as a mistake; what it would have been is nobody's guess, so it does not run either. */
function refusalOfWrite(statement: Exclude<Statement, ReadStatement>): Error {
  const verb = statement.kind === 'insert' ? 'insert' : statement.verb
  return writeVerbs.has(verb)
    ? failure('READONLY', 'Cannot execute query in readonly mode.')
    : failure('SYNTAX_ERROR', 'Syntax error: failed at position 1: the query begins with no known word.')
}

function refuseSettings(tokens: readonly Token[]): void {
  for (const [at, token] of tokens.entries()) {
    const name = tokens[at + 1]
    const sign = tokens[at + 2]
    if (!isWord(token, 'settings') || name === undefined || sign === undefined) continue
    if ((name.kind === 'word' || name.kind === 'quoted') && (isMark(sign, '=') || isMark(sign, '.')))
      throw failure('READONLY', `Cannot modify '${name.text}' setting in readonly mode.`)
  }
}

function refuseFiles(tokens: readonly Token[]): void {
  if (hasPair(tokens, 'into', 'outfile'))
    throw failure('INTO_OUTFILE_NOT_ALLOWED', 'INTO OUTFILE is not allowed.')
  if (hasPair(tokens, 'from', 'infile')) throw failure('NOT_IMPLEMENTED', 'FROM INFILE is not allowed.')
}

function refuseCalls(tokens: readonly Token[], options: GuardOptions): void {
  for (const [at, token] of tokens.entries()) {
    const next = tokens[at + 1]
    if (next === undefined || !isMark(next, '(') || (token.kind !== 'word' && token.kind !== 'quoted'))
      continue
    if (token.kind === 'quoted' && token.text.includes('\\'))
      throw failure('ACCESS_DENIED', 'A function name with escapes is not allowed.')
    const name = token.text.toLowerCase()
    const isRefused =
      machineFunctions.has(name) ||
      (options.isReadOnly &&
        (filterBypasses.has(name) || (options.tableFunctions.has(name) && !readOnlyTableFunctions.has(name))))
    if (isRefused) throw failure('ACCESS_DENIED', `The function ${name} is not allowed.`)
  }
}

function refuseEngines(tokens: readonly Token[]): void {
  for (const [at, token] of tokens.entries()) {
    if (!isWord(token, 'engine')) continue
    const name = tokens.slice(at + 1, at + 3).find((one) => !isMark(one, '='))
    if (name !== undefined && refusedEngines.has(name.text.toLowerCase()))
      throw failure(
        'NOT_IMPLEMENTED',
        `Tables of the engine ${name.text} cannot be used in the embedded ClickHouse.`,
      )
  }
}

function refuseCommands(tokens: readonly Token[]): void {
  const outer = outermost(tokens)
  const [verb, object] = outer
  if (verb === undefined) return
  if (isWord(verb, 'kill') && outer.some((token) => isWord(token, 'sync')))
    throw failure('NOT_IMPLEMENTED', 'KILL … SYNC is not possible in the embedded ClickHouse; use ASYNC.')
  if (isWord(verb, 'system') && object !== undefined && ['shutdown', 'kill'].includes(object.text))
    throw failure('ACCESS_DENIED', 'The embedded ClickHouse is stopped by Rowmill alone.')
}

function hasPair(tokens: readonly Token[], first: string, second: string): boolean {
  return tokens.some((token, at) => {
    const next = tokens[at + 1]
    return isWord(token, first) && next !== undefined && isWord(next, second)
  })
}
