import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from './cli.ts'
import type { ExitCode } from './command.ts'
import { commands } from './commands.ts'

type Run = { code: ExitCode; out: string; err: string }

async function run(
  args: readonly string[],
  given: { environment?: Record<string, string>; isInteractive?: boolean } = {},
): Promise<Run> {
  let out = ''
  let err = ''
  const code = await runCli({
    arguments: args,
    environment: given.environment ?? {},
    signal: new AbortController().signal,
    terminal: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      isInteractive: given.isInteractive ?? true,
      hasColour: false,
      columns: 200,
    },
  })
  return { code, out, err }
}

test('without a command the commands are listed, as wrong usage; help is asked for', async () => {
  const nothing = await run([])
  assert.equal(nothing.code, 2)
  for (const { name, summary } of commands)
    assert.ok(nothing.out.includes(`${name}  `) && nothing.out.includes(summary))
  for (const word of ['help', '--help', '-h']) assert.deepEqual(await run([word]), { ...nothing, code: 0 })
})

test('every command describes its options and exit codes, by --help, -h and help', async () => {
  for (const command of commands) {
    const { code, out } = await run([command.name, '--help'])
    assert.equal(code, 0)
    assert.ok(out.includes(`Usage: rowmill ${command.usage}`))
    assert.ok(out.includes('Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is no.'))
    for (const [name, spec] of Object.entries(command.options))
      assert.equal(out.includes(`--${name}`) && out.includes(spec.description), spec.refusal === undefined)
    assert.equal((await run([command.name, '-h'])).out, out)
    assert.equal((await run(['help', command.name])).out, out)
  }
})

test('unknown commands and options are wrong usage', async () => {
  assert.deepEqual(await run(['fly']), {
    code: 2,
    out: '',
    err: 'There is no command fly. "rowmill help" lists them.\n',
  })
  const unknown = await run(['version', '--fast'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /Unknown option '--fast'\nUsage: rowmill version\n/)
  assert.equal((await run(['config', '--set'])).code, 2)
  assert.equal((await run(['config', '--json=yes'])).code, 2)
})

const wrong: readonly (readonly string[])[] = [
  ['project', 'fly'],
  ['project', 'create'],
  ['project', 'create', 'x', '--timezone', 'Mars/Base'],
  ['project', 'create', 'x', '--anonymize-ips', 'perhaps'],
  ['project', 'create', 'x', '--token', 'phx_x'],
  ['project', 'create', ''],
  ['project', 'update'],
  ['project', 'update', 'x', '--name', 'y'],
  ['project', 'update', '1'],
  ['project', 'update', '1', '--token', 'phc_x'],
  ['project', 'update', '1', '--drop-older-than', 'soon'],
  ['keys', 'fly'],
  ['keys', 'create'],
  ['keys', 'create', 'x', '--project', 'y'],
  ['keys', 'revoke'],
  ['trace'],
  ['trace', 'a', 'b'],
  ['trace', 'a', '--limit', '0'],
  ['tail', '--since', 'yesterday'],
  ['tail', '--since', ''],
  ['tail', '--where', '=x'],
  ['audit', '--wait', 'long'],
  ['load', '--batch', '0'],
  ['load', '--connections', '0'],
  ['load', '--events', '1.5'],
  ['load', '--rate', ''],
  ['config', 'a', 'b'],
  ['config', '--set', 'port'],
  ['config', '--set', '=1'],
]
for (const args of wrong)
  test(`is wrong usage before anything is opened: ${args.join(' ')}`, async () => {
    const { code, err } = await run(args, { environment: { ROWMILL_DATA_DIR: '/nonexistent/rowmill' } })
    assert.equal(code, 2, err)
    assert.match(err, /\nUsage: rowmill /)
  })

test('the version and the roles are printed as text and as JSON', async () => {
  assert.match((await run(['version'])).out, /^rowmill \d+\.\d+\.\d+\S* on node v\d+/)
  assert.deepEqual(await run(['--version']), await run(['version']))
  assert.equal(JSON.parse((await run(['version', '--json'])).out).node, process.version)
  assert.match((await run(['serve', '--list'])).out, /^capture /m)
  assert.deepEqual(Object.keys(JSON.parse((await run(['serve', '--list', '--json'])).out)).sort(), [
    'api',
    'capture',
    'consumer',
    'datasets',
    'ingest',
  ])
})

test('config shows values with their origin, the later source winning, and no secrets', async () => {
  const environment = { PORT: '9001', ROWMILL_API_KEY: 'phx_secret' }
  const { code, out } = await run(
    ['config', '--json', '--set', 'api.pageSizeMax=7', '--data-dir', '/tmp/x'],
    { environment },
  )
  assert.equal(code, 0)
  const settings = JSON.parse(out) as Record<string, { value: unknown; origin: string }>
  assert.deepEqual(settings.port, { value: 9001, origin: 'environment PORT' })
  assert.deepEqual(settings['api.pageSizeMax'], { value: 7, origin: 'flag' })
  assert.deepEqual(settings.dataDir, { value: '/tmp/x', origin: 'flag' })
  assert.equal(settings['api.queriesMax']?.origin, 'default')
  assert.equal(out.includes('phx_secret'), false)
  const changed = await run(['config', 'port', '--changed'], { environment })
  assert.deepEqual(
    changed.out
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
    [
      ['setting', 'value', 'from'],
      ['port', '9001', 'environment PORT'],
    ],
  )
})

test('a setting that is wrong is a failure that says which', async () => {
  for (const [args, expected] of [
    [['--set', 'nothing.here=1'], /CONFIG_INVALID: There is no setting nothing\.here/],
    [['--set', 'port=many'], /CONFIG_INVALID: port \(flag --set port\) must be a number/],
    [['--config', '/nonexistent.yaml'], /CONFIG_INVALID: .*\n {2}because: /],
  ] as const) {
    const { code, err } = await run(['config', ...args])
    assert.equal(code, 1)
    assert.match(err, expected)
  }
})

test('output that is no terminal is JSON', async () => {
  const { out } = await run(['config', 'port'], { isInteractive: false })
  assert.equal(typeof JSON.parse(out), 'object')
})
