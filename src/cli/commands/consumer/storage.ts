import { stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import {
  findStorageFile,
  listStorageFiles,
  listYamlFiles,
  readStorageFiles,
  type StorageFile,
  type StorageSources,
} from '../../../datasets/storage/read-storage.ts'
import { createTableStatements, type TablePlace } from '../../../datasets/table/create-table.ts'
import { compareTable, type TableChange } from '../../../datasets/table/table.ts'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import { joinEngines } from '../../../platform/join.ts'
import type { Warehouse } from '../../../ports/warehouse.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json, table } from '../../output.ts'

export const storageCommand: Command = {
  name: 'storage',
  summary: 'Check storages, print the statements for their tables, compare them with the live ones.',
  usage: 'storage check [name | file | folder ...] | list | ddl <name> | diff <name> [--apply] [--drop]',
  wordsMax: Number.POSITIVE_INFINITY,
  options: {
    'storage-file': {
      kind: 'list',
      placeholder: 'file',
      description: "A YAML file of a storage beside the program's own; may be repeated.",
    },
    cluster: {
      kind: 'text',
      placeholder: 'name',
      description: 'ddl and diff: statements for every node of this cluster.',
    },
    database: {
      kind: 'text',
      placeholder: 'name',
      description: 'ddl and diff: the database of the tables, if not the one of the settings.',
    },
    apply: { kind: 'flag', description: 'diff: run the statements.' },
    drop: {
      kind: 'flag',
      description: 'diff: drop columns that the storage does not have, and what is in them.',
    },
  },
  async run(context) {
    const [action, ...words] = context.positionals
    if (action === 'check') return check(context, words)
    if (action === 'list') return list(context, words)
    if (action === 'ddl') return ddl(context, oneName(action, words))
    if (action === 'diff') return diff(context, oneName(action, words))
    throw new UsageError('Say check, list, ddl or diff.')
  },
}

function oneName(action: string, words: readonly string[]): string {
  const [name, ...more] = words
  if (name === undefined || more.length > 0)
    throw new UsageError(`storage ${action} takes one storage: its name, or the path of its file.`)
  return name
}

function sourcesOf({ options, config }: CommandContext): StorageSources {
  const { storageFiles, storageFolders } = config().config.consumer
  const given = options['storage-file']
  return { files: [...storageFiles, ...(Array.isArray(given) ? given : [])], folders: storageFolders }
}

/** The given storages, or all that there are. Needs no engine. */
async function check(context: CommandContext, words: readonly string[]): Promise<ExitCode> {
  const { terminal, isJson } = context
  const { files, findings } = await readAll(sourcesOf(context), words)
  const names = files.map(({ storage }) => storage.name)
  if (isJson) terminal.out(json({ storages: names, findings }))
  else if (findings.length > 0) terminal.out(`${findings.join('\n')}\n`)
  else terminal.out(`${names.length === 1 ? 'The storage is' : `All ${names.length} storages are`} right.\n`)
  return findings.length > 0 ? 3 : 0
}

async function readAll(
  sources: StorageSources,
  words: readonly string[],
): Promise<{ files: StorageFile[]; findings: string[] }> {
  try {
    if (words.length === 0)
      return { files: await readStorageFiles(await listStorageFiles(sources)), findings: [] }
    const paths: string[] = []
    for (const word of words) paths.push(...(await pathsOf(word, sources)))
    return { files: await readStorageFiles([...new Set(paths)]), findings: [] }
  } catch (error) {
    if (!isRowmillError(error, 'STORAGE_INVALID')) throw error
    return { files: [], findings: error.message.split('\n') }
  }
}

/** A folder's files, a file, or the file of the storage with this name. */
async function pathsOf(word: string, sources: StorageSources): Promise<string[]> {
  const found = await stat(word).catch(() => undefined)
  if (found?.isDirectory() === true) return listYamlFiles(word)
  if (found !== undefined || /\.ya?ml$/.test(word)) return [resolve(word)]
  const { path } = await findStorageFile(word, sources)
  return [path]
}

async function list(context: CommandContext, words: readonly string[]): Promise<ExitCode> {
  const { terminal, isJson } = context
  if (words.length > 0) throw new UsageError('storage list takes no more words.')
  const files = await readStorageFiles(await listStorageFiles(sourcesOf(context)))
  const rows = files.map(({ path, storage: { name, set, stream, processor, tables, description } }) => ({
    name,
    set,
    topic: stream.topic,
    processor: processor.builtIn ?? shown(processor.module ?? ''),
    tables: tables.map((entry) => entry.name),
    description,
    file: shown(path),
  }))
  if (isJson) terminal.out(json(rows))
  else
    terminal.out(
      table(terminal, rows, [
        { title: 'name', value: ({ name }) => name },
        { title: 'topic', value: ({ topic }) => topic },
        { title: 'processor', value: ({ processor }) => processor },
        { title: 'tables', value: ({ tables }) => tables.join(', ') },
        { title: 'file', value: ({ file }) => file },
      ]),
    )
  return 0
}

function shown(path: string): string {
  const near = relative('', path)
  return near.startsWith('..') ? path : near
}

/** Statements for people and for `clickhouse client` alike, also where the output is no terminal. */
async function ddl(context: CommandContext, name: string): Promise<ExitCode> {
  const { storage } = await findStorageFile(name, sourcesOf(context))
  const place = placeOf(context, storage.set)
  const statements = storage.tables.flatMap((entry) => createTableStatements(entry, place))
  context.terminal.out(
    context.options.json === true ? json(statements) : statements.map((text) => `${text};\n`).join('\n'),
  )
  return 0
}

function placeOf({ options }: CommandContext, set: string): TablePlace {
  return {
    database: typeof options.database === 'string' ? options.database : undefined,
    cluster: typeof options.cluster === 'string' ? { name: options.cluster, set } : undefined,
  }
}

type Change = TableChange & { isApplied: boolean }

/** 0 when nothing differs any more, else 3. */
async function diff(context: CommandContext, name: string): Promise<ExitCode> {
  const { config, options, signal, terminal } = context
  const { storage } = await findStorageFile(name, sourcesOf(context))
  const place = placeOf(context, storage.set)
  await using engines = await joinEngines(config().config)
  const changes: Change[] = []
  for (const entry of storage.tables) {
    const found = await compareTable(engines.warehouse, entry, { place, signal })
    changes.push(...(await applied(engines.warehouse, found, context)))
  }
  if (options.json === true) terminal.out(json(changes))
  else
    terminal.out(
      changes.length === 0
        ? `${storage.name}: the live tables are as the storage says.\n`
        : changes.map(changeText).join('\n'),
    )
  return changes.every(({ isApplied }) => isApplied) ? 0 : 3
}

async function applied(
  warehouse: Warehouse,
  changes: readonly TableChange[],
  { options, signal }: CommandContext,
): Promise<Change[]> {
  const done: Change[] = []
  for (const change of changes) {
    const isWanted = change.kind !== 'column-surplus' || options.drop === true
    const { statement, whyNot } = change
    const isApplied = options.apply === true && isWanted && statement !== undefined
    if (isApplied) await runStatement(warehouse, statement, { signal })
    const reason = isWanted || statement === undefined ? whyNot : 'dropped only with --drop'
    done.push({ ...change, whyNot: reason, isApplied })
  }
  return done
}

async function runStatement(
  warehouse: Warehouse,
  sql: string,
  options: { signal: AbortSignal },
): Promise<void> {
  try {
    await warehouse.command(sql, options)
  } catch (cause) {
    if (!isRowmillError(cause, 'WAREHOUSE_REFUSED')) throw cause
    throw new RowmillError('WAREHOUSE_REFUSED', `What came before is done; this was refused: ${sql}`, {
      cause,
    })
  }
}

/** What has to be done by hand, or was not asked for, stands in a comment. */
function changeText({ table: name, what, statement, whyNot, isApplied }: Change): string {
  const told = `-- ${name}: ${what}${whyNot === undefined ? '' : ` (${whyNot})`}${isApplied ? ' (done)' : ''}\n`
  if (statement === undefined) return told
  const isComment = whyNot !== undefined
  const text = isComment ? statement.replaceAll(/^/gm, '-- ') : statement
  return `${told}${text};\n`
}
