import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guardStatement } from './guard.ts'
import { parseStatement } from './statement.ts'

const tableFunctions = new Set(['url', 'merge', 'remote', 'numbers', 'file', 's3', 'cluster', 'dictionary'])
const guard = (sql: string, isReadOnly: boolean) =>
  guardStatement(parseStatement(sql), { isReadOnly, isStrict: isReadOnly, tableFunctions })

test('several statements are refused wherever the second one hides', () => {
  for (const sql of [
    'SELECT 1; DROP TABLE x',
    "SELECT ';' ; DROP TABLE x",
    'SELECT 1 /* ; */ ; -- x\n DROP TABLE x',
  ])
    assert.throws(() => parseStatement(sql), { code: 62 }, sql)
  for (const sql of [
    "SELECT ';DROP'",
    'SELECT 1 -- ; DROP',
    'SELECT 1 /* ; */',
    'SELECT 1;;  ',
    'SELECT $a$ ; $a$',
    'SELECT `;`',
    "SELECT '\\';'",
  ])
    assert.equal(parseStatement(sql).kind, 'read', sql)
  for (const sql of ['', '-- nothing', "SELECT 'open", 'SELECT 1 /* open', ';'])
    assert.throws(() => parseStatement(sql), { code: 62 }, sql)
})

test('the answer goes where it is sent, before FORMAT and after every comment', () => {
  const into = (sql: string) => {
    const statement = parseStatement(sql)
    assert(statement.kind === 'read')
    return statement.into("'p'", 'TSV').replace(/\s+/g, ' ')
  }
  assert.equal(into('SELECT 1 -- end'), "SELECT 1 INTO OUTFILE 'p' APPEND FORMAT TSV")
  assert.equal(into('SELECT 1 FORMAT JSON;'), "SELECT 1 INTO OUTFILE 'p' APPEND FORMAT JSON")
  assert.equal(into('SELECT format FROM t'), "SELECT format FROM t INTO OUTFILE 'p' APPEND FORMAT TSV")
  assert.equal(
    into("SELECT * FROM format(CSV, 'FORMAT x') SETTINGS a = 1"),
    "SELECT * FROM format(CSV, 'FORMAT x') SETTINGS a = 1 INTO OUTFILE 'p' APPEND FORMAT TSV",
  )
})

test('the head of an insert ends where its data begins', () => {
  const cases: [string, string, string][] = [
    ['INSERT INTO t FORMAT JSONEachRow\n{"a":1}', 'JSONEachRow', '{"a":1}'],
    ['INSERT INTO t (format, values) FORMAT CSV 1,2', 'CSV', '1,2'],
    ["INSERT INTO t VALUES ('; DROP')", 'Values', " ('; DROP')"],
    ['insert into db.values values (1)', 'Values', ' (1)'],
    ['INSERT INTO t SETTINGS a=1 FORMAT TSV\n\n1', 'TSV', '\n1'],
    ["INSERT INTO t FORMAT TSV\nit's", 'TSV', "it's"],
  ]
  for (const [sql, format, data] of cases) {
    const statement = parseStatement(sql)
    assert(statement.kind === 'insert', sql)
    assert.deepEqual([statement.format, sql.slice(statement.dataStart)], [format, data], sql)
  }
  assert.equal(parseStatement('INSERT INTO t SELECT 1').kind, 'other')
  assert.equal(parseStatement('WITH 1 AS x INSERT INTO t SELECT x').kind, 'other')
})

test('settings of an insert stay behind its file, and input() becomes the file', () => {
  const from = (sql: string) => {
    const statement = parseStatement(sql)
    assert(statement.kind === 'insert')
    return statement.from("'p'").replace(/\s+/g, ' ')
  }
  assert.equal(
    from('INSERT INTO t (a) SETTINGS b=1 FORMAT CSV 1'),
    "INSERT INTO t (a) FROM INFILE 'p' SETTINGS b=1 FORMAT CSV",
  )
  assert.equal(
    from("INSERT INTO t SELECT a FROM input('a UInt8') FORMAT CSV 1"),
    "INSERT INTO t SELECT a FROM file('p', CSV, 'a UInt8') ",
  )
})

test('a read-only request reads tables and reaches nothing else', () => {
  const refused = [
    ...['DROP TABLE t', 'INSERT INTO t VALUES (1)', 'SET readonly = 0', 'WITH 1 AS x INSERT INTO t SELECT x'],
    ...[
      "SELECT * FROM url('u')",
      "SELECT * FROM URL/**/('u')",
      "SELECT * FROM `url`('u')",
      'SELECT * FROM "s3"(\'u\')',
    ],
    ...["SELECT * FROM merge('db', '.*')", 'SELECT * FROM remote(1)', "SELECT joinGet('a', 'b', 1)"],
    ...['SELECT 1 FROM (SELECT 2 SETTINGS a = 1)', 'SELECT 1 FROM (SELECT 2 SETTINGS `a` = 1)'],
    ...["SELECT * FROM `mer\\x67e`('db', '.*')", "EXPLAIN SELECT * FROM cluster('c', t)"],
  ]
  for (const sql of refused) assert.throws(() => guard(sql, true), /Cannot (execute|modify)|not allowed/, sql)
  assert.throws(() => guard('SELEC 1', true), { code: 62 })
  for (const sql of [
    "SELECT 'url(1)'",
    'SELECT url FROM t',
    'SELECT * FROM numbers(3)',
    'SHOW TABLES',
    '(SELECT 1)',
  ])
    guard(sql, true)
})

test('nobody reaches files and programs, and what chDB survives badly is refused', () => {
  const refused = [
    ...[
      "SELECT 1 INTO OUTFILE 'x'",
      "SELECT 1 INTO/**/OUTFILE 'x'",
      "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
    ],
    ...[
      "SELECT * FROM file('x')",
      "SELECT * FROM executable('x', CSV, 'a Int8')",
      "INSERT INTO FUNCTION file('x') SELECT 1",
    ],
    ...['CREATE TABLE t (a Int8) ENGINE = Kafka', 'CREATE TABLE t (a Int8) ENGINE File(CSV)'],
    ...['KILL QUERY WHERE 1 SYNC', 'SYSTEM SHUTDOWN'],
  ]
  for (const sql of refused) assert.throws(() => guard(sql, false), { name: 'HostFailure' }, sql)
})
