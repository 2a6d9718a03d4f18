import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { databaseConfig } from '../../../src/adapters/postgres/config.ts'
import { openDatabase } from '../../../src/adapters/postgres/database.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import type { Database } from '../../../src/ports/database.ts'
import { Secret } from '../../../src/std/secret.ts'
import { quietTelemetry } from '../../support/quiet.ts'

/** Settings as a file or the environment would give them. */
export function openOn(url: string, settings: Record<string, unknown> = {}): Promise<Database> {
  const context = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  return openDatabase(context, { ...databaseConfig.parse(settings), url: new Secret(url) })
}

/** The URL with parts changed. */
export function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url)
  change(copy)
  return copy.href
}

export const isInvalid = (message: RegExp) => (error: unknown) =>
  isRowmillError(error, 'CONFIG_INVALID') && message.test(error.message)

export const isUnavailable = (error: unknown) => isRowmillError(error, 'DATABASE_UNAVAILABLE')
