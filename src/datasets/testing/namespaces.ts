/**
 * A database per namespace, so that tests that run side by side do not see each other's rows. Its tables are
 * made when they are first needed, as their storages say but without TTL: tests send old events, and a row
 * beyond its TTL would be gone before the insert answers.
 */
import { LRUCache } from 'lru-cache'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Storage, StorageTable } from '../storage/storage.ts'
import { createTableStatements, identifier } from '../table/create-table.ts'
import type { TestingConfig } from './config.ts'

export interface Namespace {
  readonly database: string
  readonly warehouse: Warehouse
  /** Makes the storage's tables unless they are there. */
  prepare(storage: Storage): Promise<void>
}

export interface Namespaces extends AsyncDisposable {
  /** The empty name is the one that needs none. Fails with `REQUEST_INVALID` for a wrong name. */
  open(name: string): Promise<Namespace>
  /** Deletes all rows of the namespace. */
  drop(name: string): Promise<void>
}

/** Opens a database, which is made if need be. */
export type OpenDatabase = (database: string) => Promise<Warehouse>

export function createNamespaces(
  openDatabase: OpenDatabase,
  config: Pick<TestingConfig, 'database' | 'namespacesMax'>,
): Namespaces {
  const closing = new Set<Promise<void>>()
  const close = (opening: Promise<OpenNamespace>) => {
    const closed = opening
      .then(({ warehouse }) => warehouse[Symbol.asyncDispose]())
      // One that never opened is nothing to close; whoever waited for it was told.
      .catch(() => undefined)
      .finally(() => closing.delete(closed))
    closing.add(closed)
  }
  const opened = new LRUCache<string, Promise<OpenNamespace>>({
    max: config.namespacesMax,
    dispose: (opening) => close(opening),
  })
  const open = (name: string): Promise<OpenNamespace> => {
    const database = databaseOf(name, config.database)
    const known = opened.get(database)
    if (known !== undefined) return known
    const opening = openDatabase(database).then((warehouse) => new OpenNamespace(database, warehouse))
    opened.set(database, opening)
    opening.catch(() => opened.delete(database))
    return opening
  }
  return {
    open,
    async drop(name) {
      const { database, warehouse } = await open(name)
      await warehouse.command(`DROP DATABASE IF EXISTS ${identifier(database)} SYNC`)
      opened.delete(database)
    },
    async [Symbol.asyncDispose]() {
      opened.clear()
      await Promise.all(closing)
    },
  }
}

/** ClickHouse's default. */
const widePartBytes = 10 * 1024 * 1024

class OpenNamespace implements Namespace {
  readonly database: string
  readonly warehouse: Warehouse
  readonly #prepared = new Map<string, Promise<void>>()

  constructor(database: string, warehouse: Warehouse) {
    this.database = database
    this.warehouse = warehouse
  }

  async prepare(storage: Storage): Promise<void> {
    let preparing = this.#prepared.get(storage.name)
    if (preparing === undefined) {
      preparing = this.#createTables(storage)
      this.#prepared.set(storage.name, preparing)
      preparing.catch(() => this.#prepared.delete(storage.name))
    }
    await preparing
  }

  async #createTables(storage: Storage): Promise<void> {
    for (const table of storage.tables)
      for (const statement of createTableStatements(testTable(table))) await this.warehouse.command(statement)
  }
}

/**
 * Rows of tests need not survive a crash, and no insert comes twice: what that costs is left out. A part of few
 * rows is one file, whatever the storage says: with a file for each column, a row of 70 columns takes three times
 * as long.
 */
function testTable(table: StorageTable): StorageTable {
  return {
    ...table,
    ttl: undefined,
    columns: table.columns.map((column) => ({ ...column, ttl: undefined })),
    settings: {
      ...table.settings,
      fsync_after_insert: 0,
      fsync_part_directory: 0,
      min_bytes_for_wide_part: widePartBytes,
    },
    dedupWindow: 0,
  }
}

function databaseOf(name: string, database: string): string {
  if (name === '') return database
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return `${database}_${name}`
  throw new RowmillError(
    'REQUEST_INVALID',
    'A namespace is 1 to 64 letters, digits, hyphens and underscores.',
  )
}
