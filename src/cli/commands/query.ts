import { joinEngines } from '../../platform/join.ts'
import { type Command, UsageError } from '../command.ts'
import { clean, json, table } from '../output.ts'

export const queryCommand: Command = {
  name: 'query',
  summary: 'Ask the warehouse in SQL, read-only.',
  usage: 'query <sql>',
  wordsMax: 1,
  options: {},
  async run({ config, positionals, terminal, isJson, signal }) {
    const [sql] = positionals
    if (sql === undefined) throw new UsageError('query takes one SQL statement, in quotes.')
    await using engines = await joinEngines(config().config)
    const rows = await engines.warehouse.query(sql, { signal, isReadOnly: true })
    if (isJson) terminal.out(json(rows))
    else terminal.out(rows.length === 0 ? 'No rows.\n' : table(terminal, rows, columnsOf(rows)))
    return 0
  },
}

function columnsOf(rows: readonly Record<string, unknown>[]) {
  return Object.keys(rows[0] ?? {}).map((name) => ({
    title: name,
    value: (row: Record<string, unknown>) => clean(cell(row[name])),
    isNumber: typeof rows[0]?.[name] === 'number',
  }))
}

function cell(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}
