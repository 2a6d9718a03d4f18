import { joinEngines } from '../../platform/join.ts'
import { migrateEngines } from '../../platform/migrate.ts'
import type { Command } from '../command.ts'
import { json } from '../output.ts'

export const migrateCommand: Command = {
  name: 'migrate',
  summary: 'Bring the tables of PostgreSQL and ClickHouse up to date; serve does it too.',
  usage: 'migrate',
  options: {},
  async run({ config, terminal, isJson }) {
    await using engines = await joinEngines(config().config, { isNewAllowed: true })
    const applied = await migrateEngines(engines)
    if (isJson) terminal.out(json(applied))
    else
      terminal.out(
        applied.database.length + applied.warehouse.length === 0
          ? 'Everything is up to date.\n'
          : `Applied to PostgreSQL: ${applied.database.join(', ') || 'nothing'}\nApplied to ClickHouse: ${applied.warehouse.join(', ') || 'nothing'}\n`,
      )
    return 0
  },
}
