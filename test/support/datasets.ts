/** A warehouse with the product's own tables, and a blob store in memory. */
import { migrateWarehouse } from '../../src/adapters/clickhouse/migrations.ts'
import { loadMigrations } from '../../src/adapters/migration-files.ts'
import type { Blobs } from '../../src/ports/blobs.ts'
import { quietTelemetry } from './quiet.ts'
import { openTestWarehouse, type TestWarehouse } from './warehouse.ts'

export async function openTables(): Promise<TestWarehouse> {
  const test = await openTestWarehouse()
  const files = await loadMigrations(new URL('../../sql/clickhouse/', import.meta.url))
  await migrateWarehouse(test.warehouse, { files, logger: quietTelemetry().logger })
  return test
}

/** A blob store in memory whose content the test can look at. */
export function createMemoryBlobs(): Blobs & { stored: Map<string, Buffer> } {
  const stored = new Map<string, Buffer>()
  return {
    stored,
    async put(key, bytes) {
      stored.set(key, bytes)
    },
    get: async (key) => stored.get(key),
    delete: async (key) => stored.delete(key),
    async *list(prefix) {
      for (const [key, bytes] of stored) if (key.startsWith(prefix)) yield { key, bytes: bytes.length }
    },
    presign: async () => undefined,
    async [Symbol.asyncDispose]() {},
  }
}
