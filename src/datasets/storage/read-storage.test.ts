import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { compileMessageSchema } from './message-schema.ts'
import {
  findStorage,
  listStorageFiles,
  readOwnStorages,
  readStorage,
  readStorageFiles,
} from './read-storage.ts'

const lines = [
  'version: v1', // 1
  'kind: storage',
  'name: visits',
  'set: mine',
  'description: Who came by.',
  'stream:', // 6
  '  topic: visits',
  '  dlq_topic: visits-dead',
  '  schema: visits.schema.json',
  'processor:', // 10
  '  built_in: ready_row',
  'tables:',
  '  - name: visits_local', // 13
  '    columns:',
  '      - { name: id, type: UInt64 }', // 15
  '      - { name: at, type: DateTime }',
  "      - { name: tags.key, type: 'Array(String)' }",
  '    engine: { kind: MergeTree }', // 18
  '    order_by: [id, toDate(at)]',
  'retention: { valid_days: [7, 30], default_days: 30, lower_days: 7 }', // 20
]

/** The text with changed lines, by their number; more lines at the end. */
function yamlOf(changes: Readonly<Record<number, string>> = {}, ...more: string[]): string {
  return [...lines.map((line, index) => changes[index + 1] ?? line), ...more].join('\n')
}

async function folderOf(files: Readonly<Record<string, string>>) {
  const folder = await tempDir()
  const all = { 'visits.schema.json': '{"type":"object","required":["id"]}', ...files }
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder.path, name), text)
  return folder
}

async function findingsOf(text: string): Promise<string[]> {
  await using folder = await folderOf({ 'visits.yaml': text })
  try {
    await readStorage(join(folder.path, 'visits.yaml'))
    return []
  } catch (error) {
    assert(isRowmillError(error, 'STORAGE_INVALID'), String(error))
    return error.message.split('\n').map((line) => line.replaceAll(`${folder.path}/visits.yaml:`, ''))
  }
}

/** What is changed, and all that is said about it. */
const wrong: readonly (readonly [string, string, ...string[]])[] = [
  [
    'an unknown setting',
    yamlOf({ 7: '  topic: visits\n  speed: 3' }),
    '8:3: There is no setting stream.speed.',
  ],
  [
    'an unknown setting deep inside',
    yamlOf({ 16: '      - { name: at, type: DateTime, size: 3 }' }),
    '16:37: There is no setting tables[0].columns[1].size.',
  ],
  ['a missing setting', yamlOf({ 4: '' }), '1:1: set is missing.'],
  [
    'a value of another kind',
    yamlOf({}, 'writer: { batch: { rows_max: many } }'),
    '21:30: writer.batch.rows_max must be a number, not "many".',
  ],
  [
    'a value out of range',
    yamlOf({}, 'writer: { batch: { rows_max: 0 } }'),
    '21:30: writer.batch.rows_max is at least 1, and is 0.',
  ],
  ['another version', yamlOf({ 1: 'version: v9' }), '1:10: version is one of v1, not "v9".'],
  [
    'an unknown engine',
    yamlOf({ 18: '    engine: { kind: Memory }' }),
    '18:21: tables[0].engine.kind is one of MergeTree, SummingMergeTree, AggregatingMergeTree, ReplacingMergeTree, CollapsingMergeTree, not "Memory".',
  ],
  [
    'a name that cannot be one',
    yamlOf({ 3: 'name: Visits' }),
    '3:7: name is up to 64 small letters, digits, _ and -, a letter first, which "Visits" is not.',
  ],
  [
    'no tables',
    yamlOf({ 12: 'tables: []', ...blank(13, 19) }),
    '12:9: tables has at least 1 entries, and is [].',
  ],
  ['a key that is there twice', yamlOf({ 4: 'set: mine\nset: yours' }), '5:1: Map keys must be unique.'],
  [
    'no YAML',
    'version: [v1',
    '1:13: Flow sequence in block collection must be sufficiently indented and end with a ].',
  ],
  ['nothing at all', '', '1:1: The file must be a mapping, not null.'],
  ['no processor', yamlOf({ 11: '  options: {}' }), '11:3: processor needs built_in or module.'],
  [
    'two processors',
    yamlOf({ 11: '  built_in: ready_row\n  module: visits.yaml' }),
    '11:3: processor has built_in and module; give one of them.',
  ],
  [
    'a module that does not exist',
    yamlOf({ 11: '  module: ./mine.ts' }),
    '11:11: processor.module names ./mine.ts, which is no file.',
  ],
  [
    'a format that the processor cannot write',
    yamlOf({}, 'writer: { format: RowBinary }'),
    '21:19: The processor ready_row cannot write RowBinary; it writes JSONEachRow.',
  ],
  [
    'a setting that the writer sets',
    yamlOf({}, 'writer: { settings: { async_insert: 1 } }'),
    '21:23: async_insert is set by the writer, so that a batch is written whole and once.',
  ],
  [
    'one topic for two things',
    yamlOf({ 8: '  dlq_topic: visits' }),
    '8:14: stream.dlq_topic is stream.topic as well; each needs a topic of its own.',
  ],
  [
    'a replacement topic without a replacer',
    yamlOf({ 8: '  replacement_topic: changes' }),
    '8:3: stream.replacement_topic does nothing without replacer.',
  ],
  [
    'a replacer without a replacement topic',
    yamlOf({}, 'replacer: { built_in: errors }'),
    '21:1: replacer does nothing without stream.replacement_topic.',
  ],
  [
    'limits of dead letters without their topic',
    yamlOf({ 8: '' }, 'dead_letters: { consecutive_max: 3, max_by_reason: { invalid_message: 1 } }'),
    '21:37: dead_letters.max_by_reason needs stream.dlq_topic.',
    '21:17: dead_letters.consecutive_max needs stream.dlq_topic.',
  ],
  [
    'a ratio without its window',
    yamlOf({}, 'dead_letters: { ratio: { max: 0.5 } }'),
    '21:24: dead_letters.ratio.window is missing.',
  ],
  [
    'a retention that is not valid',
    yamlOf({ 20: 'retention: { valid_days: [7] }' }),
    '20:12: retention.default_days is 90, which is none of valid_days.',
    '20:12: retention.lower_days is 30, which is none of valid_days.',
  ],
  [
    'a schema that is not there',
    yamlOf({ 9: '  schema: other.json' }),
    '9:11: stream.schema names other.json, which cannot be read.',
  ],
  [
    'a column that is there twice',
    yamlOf({ 16: '      - { name: at, type: DateTime }\n      - { name: at, type: Date }' }),
    '17:17: The column at is there twice.',
  ],
  [
    'a column with two kinds of default',
    yamlOf({ 15: '      - { name: id, type: UInt64, default: 1, alias: "2" }' }),
    '15:47: The column id has default and alias; give one of them.',
  ],
  [
    'an expression with a column that is not there',
    yamlOf({ 19: '    order_by: [id, toDate(day), cityHash64(`it`)]' }),
    '19:20: order_by[1] names day, which is no column of visits_local.',
    '19:33: order_by[2] names it, which is no column of visits_local.',
  ],
  [
    'expressions that are not whole',
    yamlOf({
      19: '    order_by: [id]\n    ttl: "at + (1"\n    sample_by: "id -- x"\n    partition_by: ["id; drop", "id, at"]',
    }),
    '22:20: tables[0].partition_by[0] holds a semicolon.',
    '22:32: tables[0].partition_by[1] has a comma outside of brackets.',
    '21:16: tables[0].sample_by holds a comment.',
    '20:10: tables[0].ttl lacks a ).',
    '22:20: partition_by[0] names drop, which is no column of visits_local.',
    '21:16: sample_by is no part of the sorting key.',
  ],
  [
    'a version that is no column, and one that cannot be it',
    yamlOf({ 18: '    engine: { kind: ReplacingMergeTree, version: v, is_deleted: at }' }),
    '18:50: engine.version names v, which is no column of visits_local.',
    '18:65: engine.is_deleted names at, which is DateTime and cannot be that.',
  ],
  [
    'a primary key that is not how the sorting key begins',
    yamlOf({ 19: '    order_by: [id, toDate(at)]\n    primary_key: [toDate(at)]' }),
    '20:19: primary_key[0] differs from order_by[0]; the primary key is how the sorting key begins.',
  ],
  [
    'a TTL on a column of a key',
    yamlOf({ 16: "      - { name: at, type: DateTime, ttl: 'at + toIntervalDay(1)' }" }),
    '16:37: The column at is part of a key of the table, and cannot have a TTL of its own.',
  ],
  [
    'a setting that follows from another',
    yamlOf({
      18: '    engine: { kind: MergeTree }\n    settings: { non_replicated_deduplication_window: 3 }',
    }),
    '19:17: non_replicated_deduplication_window follows from dedup_window; set that.',
  ],
  [
    'a table over all shards with the name of the table',
    yamlOf({ 19: '    order_by: [id]\n    distributed: { name: visits_local, sharding_key: id }' }),
    '20:26: The table visits_local is there twice.',
  ],
]

function blank(from: number, until: number): Record<number, string> {
  return Object.fromEntries(Array.from({ length: until - from + 1 }, (_, index) => [from + index, '']))
}

suite('reading storages', () => {
  test('a storage is read whole, completed with defaults, its paths absolute', async () => {
    await using folder = await folderOf({ 'visits.yaml': yamlOf() })
    const storage = await readStorage(join(folder.path, 'visits.yaml'))
    assert.deepEqual(storage.stream, {
      topic: 'visits',
      commitLogTopic: undefined,
      replacementTopic: undefined,
      dlqTopic: 'visits-dead',
      messageSchema: { type: 'object', required: ['id'] },
      preFilter: undefined,
    })
    assert.deepEqual(storage.writer, {
      format: 'JSONEachRow',
      rowsMax: 50_000,
      bytesMax: 67_108_864,
      waitMs: 2000,
      compression: 'none',
      settings: {},
    })
    assert.deepEqual(storage.retention, { defaultDays: 30, lowerDays: 7, validDays: [7, 30] })
    assert.deepEqual(storage.deadLetters, { maxByReason: {}, ratio: undefined, consecutiveMax: undefined })
    assert.equal(storage.hasLedger, true)
    const [table] = storage.tables
    assert.equal(table?.dedupWindow, 1000)
    assert.deepEqual(table.settings, { fsync_after_insert: 1, fsync_part_directory: 1 })
    assert.deepEqual(storage.processor, { builtIn: 'ready_row', module: undefined, options: {} })
  })

  for (const [what, text, ...expected] of wrong)
    test(`is refused with its place: ${what}`, async () => {
      assert.deepEqual(await findingsOf(text), expected)
    })

  test('a built-in processor that does not exist is refused with those that there are', async () => {
    const [finding, ...more] = await findingsOf(yamlOf({ 11: '  built_in: ready' }))
    assert.deepEqual(more, [])
    assert.match(finding ?? '', /^11:13: There is no built-in processor ready; there are .*ready_row/)
  })

  test('a schema that is no JSON Schema is refused with what is wrong with it', async () => {
    for (const schema of ['{"type":"thing"}', '[]', '{', '{"$ref":"#/nowhere"}']) {
      await using folder = await folderOf({ 'visits.yaml': yamlOf(), 'visits.schema.json': schema })
      await assert.rejects(
        readStorage(join(folder.path, 'visits.yaml')),
        /:9:11: stream\.schema names .*, which is no JSON/,
      )
    }
  })

  test('all that is wrong with all files is told at once, names that are taken as well', async () => {
    await using folder = await folderOf({
      'a.yaml': yamlOf(),
      'b.yaml': yamlOf(),
      'c.yaml': yamlOf({ 4: 'set: 3', 5: 'description: ""' }),
    })
    const paths = ['a', 'b', 'c', 'd'].map((name) => join(folder.path, `${name}.yaml`))
    await assert.rejects(readStorageFiles(paths), (error: unknown) => {
      assert(isRowmillError(error, 'STORAGE_INVALID'))
      const told = error.message.split('\n')
      assert.deepEqual(
        told.map((line) => line.replaceAll(`${folder.path}/`, '').split(':').slice(0, 2).join(':')),
        ['c.yaml:4', 'c.yaml:5', 'd.yaml:1', 'b.yaml:3'],
      )
      return true
    })
  })

  test('several storages may fill one table, if they agree what it is like', async () => {
    await using folder = await folderOf({
      'a.yaml': yamlOf(),
      'b.yaml': yamlOf({ 3: 'name: again' }),
      'c.yaml': yamlOf({ 3: 'name: other', 19: '    order_by: [id]' }),
    })
    const [a = '', b = '', c = ''] = ['a', 'b', 'c'].map((name) => join(folder.path, `${name}.yaml`))
    assert.equal((await readStorageFiles([a, b])).length, 2)
    await assert.rejects(readStorageFiles([a, b, c]), (error: Error) => {
      const expected = `${c}:13:11: The table visits_local is not the same as in ${a}, which fills it too.`
      assert.equal(error.message, expected)
      return true
    })
  })

  test('a storage is found by its name or its file, whatever is wrong with others', async () => {
    await using folder = await folderOf({ 'a.yaml': yamlOf(), 'b.yaml': 'name: other' })
    const sources = { folders: [folder.path] }
    assert.equal((await findStorage('visits', sources)).set, 'mine')
    assert.equal((await findStorage(join(folder.path, 'a.yaml'))).set, 'mine')
    assert.equal((await findStorage('events')).stream.topic, topics.readyEvents)
    await assert.rejects(findStorage('nothing', sources), /There is no storage nothing; there are .*events/)
    await assert.rejects(findStorage('other', sources), /b\.yaml:1:1: /)
    assert.equal((await listStorageFiles(sources)).filter((path) => path.startsWith(folder.path)).length, 2)
    await assert.rejects(listStorageFiles({ folders: ['/nonexistent/rowmill'] }), /cannot be read/)
  })

  test("the topics of Rowmill's own storages are the program's, and only ledger and drops have no ledger", async () => {
    const own = await readOwnStorages()
    const known = new Set<string>(Object.values(topics))
    for (const { name, stream } of own) assert(known.has(stream.topic), name)
    assert.deepEqual(
      own.filter(({ hasLedger }) => !hasLedger).map(({ name }) => name),
      ['drops', 'ledger'],
    )
  })

  test('the example of the reference page is right as it stands', async () => {
    const page = await readFile(new URL('../../../docs/reference/storages.md', import.meta.url), 'utf8')
    const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
    await using folder = await folderOf({ 'visits.yaml': example, 'visits.ts': '' })
    const storage = await readStorage(join(folder.path, 'visits.yaml'))
    assert.equal(storage.processor.module, join(folder.path, 'visits.ts'))
    assert.equal(storage.writer.waitMs, 500)
  })

  test("the published schema accepts the program's storages, and refuses what has the wrong form", async () => {
    const text = await readFile(new URL('../../../storages/storage.schema.json', import.meta.url), 'utf8')
    const check = await compileMessageSchema(JSON.parse(text))
    for (const path of await listStorageFiles())
      assert.equal(check(parse(await readFile(path, 'utf8'))), undefined, path)
    assert.equal(check(parse(yamlOf())), undefined)
    assert.deepEqual(check(parse(yamlOf({ 7: '  topic: 3' }))), {
      path: 'stream.topic',
      message: 'must be string',
    })
    for (const changes of [
      { 4: '' },
      { 18: '    engine: { kind: Memory }' },
      { 7: '  topic: a\n  speed: 3' },
    ])
      assert.notEqual(check(parse(yamlOf(changes))), undefined)
  })

  test('a message schema says where and why a message does not fit', async () => {
    const draft07 = { $schema: 'http://json-schema.org/draft-07/schema#' }
    for (const draft of [{}, draft07]) {
      const check = await compileMessageSchema({
        ...draft,
        type: 'array',
        items: { type: 'object', properties: { 'a/b': { type: 'integer' } } },
      })
      assert.equal(check([{ 'a/b': 1 }]), undefined)
      assert.deepEqual(check([{}, { 'a/b': 'x' }]), { path: '[1].a/b', message: 'must be integer' })
      assert.deepEqual(check({}), { path: '', message: 'must be array' })
    }
  })
})
