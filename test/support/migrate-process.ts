/** A process that brings a Database up to date and prints the names of what it applied. Its arguments: URL, direct URL. */
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { loadMigrations } from '../../src/adapters/migration-files.ts'
import { databaseConfig } from '../../src/adapters/postgres/config.ts'
import { openDatabase } from '../../src/adapters/postgres/database.ts'
import { migrateDatabase } from '../../src/adapters/postgres/migrations.ts'
import { Secret } from '../../src/std/secret.ts'
import { quietTelemetry } from './quiet.ts'

const [, , url = '', directUrl] = process.argv
const telemetry = quietTelemetry()
const context = { clock: createSystemClock(), random: createSystemRandom(), ...telemetry }
const config = databaseConfig.parse(directUrl === undefined ? {} : { directUrl })
await using database = await openDatabase(context, { ...config, url: new Secret(url) })
const files = await loadMigrations(new URL('../../sql/postgres/', import.meta.url))
const names = await migrateDatabase(database, { files, logger: telemetry.logger })
process.stdout.write(`${JSON.stringify(names)}\n`)
