import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Problem } from '../problem.ts'
import { type GuardNames, guardQuery } from './guard.ts'

const names: GuardNames = {
  database: 'rowmill',
  databases: new Set(['rowmill', 'system', 'information_schema', 'other']),
  tableFunctions: new Set(['remote', 'numbers', 's3']),
}

function refusal(sql: string): Problem | undefined {
  try {
    guardQuery(sql, names)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

const blank = fc.constantFrom(' ', '\n', '\t', ' /* x */ ', ' -- x\n', "/* ' */")
const piece = fc.constantFrom(
  ...["'a'", "'it''s'", "'\\\\'", '"b"', '`c`', '1.5', 'x', ',', '(', ')', '+', 'from', 'events', '{a:Int8}'],
)

test('any text is allowed or refused with a place inside it, and quickly', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      for (const sql of [text, `select ${text}`]) {
        const problem = refusal(sql)
        if (problem === undefined) continue
        const { offset } = problem.body.position as { offset: number }
        assert.ok(problem.status === 400 && offset >= 0 && offset <= sql.length)
      }
    }),
  )
  for (const part of ["'", '\\', '"', '`', '/*', '/* ', '-- ', '-', '$', '(', 'a.', '{'])
    refusal(`select ${part.repeat(200_000)}`)
})

test('what is refused is refused wherever it stands and however it is spaced and cased', () => {
  const cased = (word: string) =>
    fc
      .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
      .map((upper) =>
        [...word].map((letter, at) => (upper[at] === true ? letter.toUpperCase() : letter)).join(''),
      )
  const parts = [
    'prewhere',
    'system . one',
    'other . t',
    'remote ( x )',
    '`s3` (x)',
    '"system" . x',
    'dictGet (1)',
    '{ a : identifier }',
    'into outfile',
    'settings a =',
    'settings `additional_table_filters` =',
  ]
  fc.assert(
    fc.property(
      fc.constantFrom(...parts).chain(cased),
      fc.array(piece, { maxLength: 8 }),
      fc.array(piece, { maxLength: 8 }),
      fc.array(blank, { minLength: 12, maxLength: 12 }),
      (word, before, after, blanks) => {
        const spaced = word
          .split(' ')
          .map((token, at) => token + (blanks[at] ?? ' '))
          .join('')
        const gap = blanks[11] ?? ' '
        const sql = ['select', ...before, ';'.slice(1), spaced, ...after].join(gap)
        assert.notEqual(refusal(sql), undefined, sql)
      },
    ),
  )
})

test('the same words inside strings, comments and quoted names are nothing', () => {
  for (const word of [
    'prewhere',
    'system.one',
    'remote(1)',
    'settings a = 1',
    'into outfile',
    '; drop table x',
    '{a:Identifier}',
  ])
    for (const sql of [
      `select '${word}'`,
      `select 1 -- ${word}`,
      `select /* ${word} */ 1`,
      `select 1 as "${word}"`,
      `select 1 as \`${word}\``,
    ])
      assert.equal(refusal(sql), undefined, sql)
})
