import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSources, type Terminal, UsageError } from './command.ts'
import { describeAudit } from './commands/audit.ts'
import { clean, colour, progress, table } from './output.ts'

function terminal(given: Partial<Terminal> = {}): Terminal & { errors: string[] } {
  const errors: string[] = []
  return {
    out: () => {},
    err: (text) => errors.push(text),
    isInteractive: true,
    hasColour: false,
    columns: 40,
    errors,
    ...given,
  }
}

test('a table aligns text left and numbers right', () => {
  const text = table(
    terminal(),
    [
      { n: 7, s: 'a' },
      { n: 1000, s: 'longer' },
    ],
    [
      { title: 'n', value: ({ n }) => String(n), isNumber: true },
      { title: 's', value: ({ s }) => s },
    ],
  )
  assert.equal(text, '   n  s\n   7  a\n1000  longer\n')
})

test('a table cuts long lines at the edge of a terminal, and nowhere else', () => {
  const columns = [{ title: 's', value: (row: string) => row }]
  const lineOf = (given: Partial<Terminal>) =>
    table(terminal(given), ['x'.repeat(60)], columns).split('\n')[1]
  assert.equal(lineOf({}), `${'x'.repeat(39)}…`)
  assert.equal(lineOf({ isInteractive: false })?.length, 60)
  assert.equal(lineOf({ columns: 0 })?.length, 60)
})

test('an empty table is its titles', () => {
  assert.equal(table(terminal(), [], [{ title: 'a', value: String }]), 'a\n')
})

test('control characters of data never reach the terminal', () => {
  assert.equal(clean('a\u001b[31mb\nc\u009b\u202ed'), 'a·[31mb·c··d')
  assert.equal(
    table(terminal(), ['\u001b]0;x\u0007'], [{ title: 's', value: String }]).includes('\u001b'),
    false,
  )
})

test('colour is used only where it is wanted', () => {
  assert.equal(colour(terminal(), 'red', 'x'), 'x')
  assert.equal(colour(terminal({ hasColour: true }), 'red', 'x'), '\u001b[31mx\u001b[0m')
})

test('progress draws within the terminal and is silent elsewhere', () => {
  const shown = terminal()
  const bar = progress(shown, 'sending')
  bar.at(2, 'a note that is far too long for this terminal')
  bar.end()
  assert.equal(shown.errors.length, 2)
  assert.ok((shown.errors[0] ?? '').length <= 39 + '\r\u001b[2K'.length)
  const silent = terminal({ isInteractive: false })
  const none = progress(silent, 'sending')
  none.at(0.5, '')
  none.end()
  assert.deepEqual(silent.errors, [])
})

test('flags of the command line become settings by path', () => {
  const shorthands = { 'data-dir': 'dataDir', port: 'port' }
  const options = { 'data-dir': '/x', port: '1', set: ['a.b=c=d', 'e='], config: 'file.yaml', json: true }
  assert.deepEqual(configSources({ A: '1' }, options, shorthands), {
    environment: { A: '1' },
    file: 'file.yaml',
    flags: { dataDir: '/x', port: '1', 'a.b': 'c=d', e: '' },
  })
  for (const pair of ['a', '=b', ''])
    assert.throws(() => configSources({}, { set: [pair] }, shorthands), UsageError)
})

test('an audit says in words how it ended', () => {
  const report = {
    isBalanced: true,
    isSettled: true,
    captured: 3,
    rows: 2,
    drops: { duplicate: 1 },
    waiting: [],
    stages: [],
    tables: [],
    problems: [],
  }
  const say = (given: object) => describeAudit(terminal(), { ...report, ...given })
  assert.match(
    say({}),
    /3 records captured, 2 rows of events, 1 written reasons\n {2}duplicate: 1\nBalanced: every/,
  )
  assert.match(
    say({ isSettled: false, waiting: [{ stage: 's', topic: 't', records: 4 }] }),
    /4 records of t wait for s\.\nBalanced so far/,
  )
  assert.match(say({ isBalanced: false, problems: ['A gap.'] }), /problem A gap\.\nNot balanced\./)
})
