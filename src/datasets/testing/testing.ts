/**
 * Routes for other programs' tests: messages in, rows to be read when the answer comes, rows gone. The routes
 * by entity and by dataset are those of Snuba's test server, with its bodies and answers; those by storage
 * answer what became of each message.
 *
 * `Rowmill-Namespace` puts a request into a database of its own, `Rowmill-Time` holds the processor's clock,
 * `Idempotency-Key` makes a repeated request give the first one's answer.
 */
import { LRUCache } from 'lru-cache'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { jsonResponse, textResponse } from '../../http/respond.ts'
import type { RawRequest, RawResponse, Route } from '../../http/route.ts'
import type { Storage } from '../storage/storage.ts'
import { identifier } from '../table/create-table.ts'
import type { TestingConfig } from './config.ts'
import { storageOfEntity, storagesOfDataset } from './entities.ts'
import { type InsertOptions, type InsertPorts, type InsertRequest, insertMessages } from './insert.ts'
import type { Namespaces } from './namespaces.ts'
import { readMessages } from './read-messages.ts'

export type TestingPorts = InsertPorts & {
  namespaces: Namespaces
  /** Undefined where there is none. */
  findStorage: (name: string) => Promise<Storage | undefined>
}

export function createTestingRoutes(
  ports: TestingPorts,
  config: TestingConfig,
  options: InsertOptions,
): Route[] {
  const world: World = { ports, config, options }
  const once = createOnce(config.idempotencyKeysMax)
  const post = (path: string, answer: (request: RawRequest) => Promise<RawResponse>): Route => ({
    methods: ['POST'],
    path,
    bodyBytesMax: config.bodyBytesMax,
    refuse: refuseAsJson,
    handle: (request) => once(path, request, () => answer(request)),
  })
  const byEntity = (request: RawRequest) => insertByEntity(world, request)
  const byStorage = (request: RawRequest) => insertByStorage(world, request)
  return [
    post('/tests/entities/:entity/insert', byEntity),
    post('/tests/entities/:entity/insert_bytes', byEntity),
    post('/tests/:entity/eventstream', (request) => insertEvent(world, request)),
    post('/tests/:dataset/drop', (request) => dropDataset(world, request)),
    post('/tests/storages/:storage/insert', byStorage),
    post('/tests/storages/:storage/insert_bytes', byStorage),
    post('/tests/storages/:storage/drop', (request) => dropStorage(world, request)),
    {
      methods: ['DELETE'],
      path: '/tests/namespaces/:namespace',
      bodyBytesMax: 0,
      refuse: refuseAsJson,
      handle: async ({ params }) => {
        await ports.namespaces.drop(params.namespace ?? '')
        return ok()
      },
    },
    {
      methods: ['GET'],
      path: '/tests/error',
      bodyBytesMax: 0,
      handle: async () => errorAnswer(500, 'test', 'This route always fails.'),
    },
  ]
}

type World = { ports: TestingPorts; config: TestingConfig; options: InsertOptions }

async function insertByEntity(world: World, request: RawRequest): Promise<RawResponse> {
  const storage = await storageNamed(world, storageOfEntity(request.params.entity ?? ''))
  const messages = await messagesOf(world, request)
  await insert(world, request, { storage, messages, isWhole: true, isSchemaEnforced: false })
  return ok()
}

/** One message in the body: an event, or a change of earlier ones. */
async function insertEvent(world: World, request: RawRequest): Promise<RawResponse> {
  const storage = await storageNamed(world, storageOfEntity(request.params.entity ?? ''))
  const messages = [request.body]
  await insert(world, request, { storage, messages, isWhole: true, isSchemaEnforced: true })
  return ok()
}

async function insertByStorage(world: World, request: RawRequest): Promise<RawResponse> {
  const storage = await storageNamed(world, request.params.storage ?? '')
  const messages = await messagesOf(world, request)
  const query = new URLSearchParams(request.queryText)
  const isWhole = query.get('whole') === '1'
  const isSchemaEnforced = query.get('schema') === '1'
  const inserted = await insert(world, request, { storage, messages, isWhole, isSchemaEnforced })
  return jsonResponse(200, JSON.stringify(inserted))
}

async function insert(
  { ports, options }: World,
  request: RawRequest,
  what: Omit<InsertRequest, 'namespace' | 'nowMs'>,
) {
  const namespace = await ports.namespaces.open(header(request, 'rowmill-namespace'))
  const nowMs = timeOf(request)
  const inserted = await insertMessages(ports, { ...what, namespace, nowMs }, options)
  return { storage: what.storage.name, database: namespace.database, ...inserted }
}

async function dropDataset(world: World, request: RawRequest): Promise<RawResponse> {
  const names = storagesOfDataset(request.params.dataset ?? '')
  const storages = await Promise.all(names.map((name) => storageNamed(world, name)))
  await truncate(world, request, storages)
  return ok()
}

async function dropStorage(world: World, request: RawRequest): Promise<RawResponse> {
  const storage = await storageNamed(world, request.params.storage ?? '')
  const database = await truncate(world, request, [storage])
  return jsonResponse(200, JSON.stringify({ storage: storage.name, database }))
}

async function truncate(
  { ports }: World,
  request: RawRequest,
  storages: readonly Storage[],
): Promise<string> {
  const { warehouse, database } = await ports.namespaces.open(header(request, 'rowmill-namespace'))
  for (const { tables } of storages)
    for (const { name } of tables) await warehouse.command(`TRUNCATE TABLE IF EXISTS ${identifier(name)}`)
  return database
}

async function messagesOf({ config }: World, request: RawRequest): Promise<Buffer[]> {
  const messages = await readMessages(request.body, header(request, 'content-type'))
  if (messages.length > config.messagesMax)
    throw new RowmillError(
      'REQUEST_INVALID',
      `There are ${messages.length} messages; consumer.testing.messagesMax allows ${config.messagesMax}.`,
    )
  return messages
}

async function storageNamed({ ports }: World, name: string): Promise<Storage> {
  const storage = await ports.findStorage(name)
  if (storage !== undefined) return storage
  throw new RowmillError('STORAGE_UNKNOWN', `There is no storage ${JSON.stringify(name)}.`)
}

function timeOf(request: RawRequest): number | undefined {
  const text = header(request, 'rowmill-time')
  if (text === '') return undefined
  const nowMs = Date.parse(text)
  if (Number.isNaN(nowMs))
    throw new RowmillError('REQUEST_INVALID', 'Rowmill-Time is no time, such as 2026-01-02T03:04:05Z.')
  return nowMs
}

function header({ headers }: RawRequest, name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

/** Runs a request once per key; another with the same key waits for its answer and gets it. Failures are forgotten. */
function createOnce(keysMax: number) {
  const answers = new LRUCache<string, Promise<RawResponse>>({ max: keysMax })
  return async (
    path: string,
    request: RawRequest,
    answer: () => Promise<RawResponse>,
  ): Promise<RawResponse> => {
    const key = header(request, 'idempotency-key')
    if (key === '') return await answer()
    const full = JSON.stringify([path, request.path, header(request, 'rowmill-namespace'), key])
    const known = answers.get(full)
    if (known !== undefined) {
      const first = await known
      return { ...first, headers: { ...first.headers, 'idempotent-replayed': 'true' } }
    }
    const running = answer()
    answers.set(full, running)
    running.catch(() => answers.delete(full))
    return await running
  }
}

function ok(): RawResponse {
  return textResponse(200, 'ok')
}

/** What a message does wrong is told in full: whoever tests must see it. */
function refuseAsJson(error: RowmillError): RawResponse {
  const status = error.code === 'MESSAGE_REJECTED' ? 500 : error.entry.status
  return errorAnswer(status, error.code, error.message)
}

function errorAnswer(status: number, type: string, message: string): RawResponse {
  return jsonResponse(status, JSON.stringify({ error: { type, message } }))
}
