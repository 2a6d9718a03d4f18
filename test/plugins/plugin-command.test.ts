/** `rowmill plugin test`, as an author calls it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runCli } from '../../src/cli/cli.ts'
import { writeMmdb } from '../support/mmdb.ts'
import { tempDir } from '../support/temp-dir.ts'

async function run(words: readonly string[], { isInteractive = true } = {}) {
  let out = ''
  let err = ''
  const code = await runCli({
    arguments: ['plugin', ...words],
    environment: { ROWMILL_LOG_LEVEL: 'silent', LOG_LEVEL: 'silent' },
    signal: new AbortController().signal,
    terminal: {
      out: (part) => {
        out += part
      },
      err: (part) => {
        err += part
      },
      isInteractive,
      hasColour: false,
      columns: 200,
    },
  })
  return { code, out, err }
}

/** Files of a folder of the test's own. */
async function setup(files: Readonly<Record<string, string | Buffer>>) {
  const dir = await tempDir('rowmill-plugin-')
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(dir.path, name, '..'), { recursive: true })
    writeFileSync(join(dir.path, name), content)
  }
  return { ...dir, at: (name: string) => join(dir.path, name) }
}

const passes = 'export const processEvent = (event) => event'

suite('plugin test', () => {
  test('runs a folder with plugin.json, its defaults, an attachment and the database of places', async () => {
    await using dir = await setup({
      'p/plugin.json': JSON.stringify({
        name: 'Places',
        main: 'dist/main.ts',
        config: [
          { markdown: 'For the reader' },
          { key: 'prefix', type: 'string', default: 'in ', required: true },
          { key: 'names', type: 'attachment', required: true },
        ],
      }),
      'p/dist/main.ts': `export const jobs = { again: () => {} }
        export async function processEvent(event: any, { config, attachments, geoip, jobs }: any) {
          const names: Record<string, string> = JSON.parse(attachments.names.contents.toString())
          const place = await geoip.locate(event.ip)
          console.warn('found', place?.country?.iso_code)
          await jobs.again({ n: 1 }).runIn(1, 'day')
          return { ...event, place: config.prefix + names[place.city.names.en] }
        }`,
      'names.json': '{"Basel": "Bâle"}',
      'city.mmdb': writeMmdb({
        '1.2.3.0/24': {
          city: { names: { en: 'Basel' } },
          country: { iso_code: 'CH', names: { en: 'Switzerland' } },
        },
      }),
    })
    const { code, out, err } = await run([
      ...['test', dir.at('p'), '--event', '{"event": "a", "ip": "1.2.3.4"}'],
      ...['--attachment', `names=${dir.at('names.json')}`, '--plugin-config', '{"other": 1}'],
      ...['--set', `ingest.geoip.file=${dir.at('city.mmdb')}`],
    ])
    assert.equal(code, 0, err)
    assert.match(out, /^1\. a: changed {2}\([\d.]+ ms of processor time, [\d.]+ ms\)\n/)
    assert.deepEqual(out.split('\n').slice(1), [
      '  + place  "in Bâle"',
      '  warn   found CH',
      '  geoip  1.2.3.4',
      '  job    again({"n":1}) in 1 day',
      '',
    ])
    assert.equal(err, 'plugin.json has no config key other.\n')
  })

  test('prints JSON for programs, and fails when an event has', async () => {
    await using dir = await setup({
      'a.js': `module.exports = { processEvent(event) {
  if (event.event === 'bad') throw new Error('no')
  return event.event === 'drop' ? null : event
} }`,
      'events.ndjson': '{"event":"good"}\n\n{"event":"bad"}\n{"event":"drop"}\n',
      'config.json': '{"a": 1}',
    })
    const { code, out } = await run(
      ['test', dir.at('a.js'), '--event', dir.at('events.ndjson'), '--plugin-config', dir.at('config.json')],
      { isInteractive: false },
    )
    assert.equal(code, 1)
    const report = JSON.parse(out)
    assert.equal(report.plugin, 'a.js')
    assert.deepEqual(
      report.events.map(({ event, outcome }: Record<string, unknown>) => [event, outcome]),
      [
        ['good', 'unchanged'],
        ['bad', 'failed'],
        ['drop', 'dropped'],
      ],
    )
    assert.deepEqual(report.events[1].failure.place, {
      line: 2,
      text: "if (event.event === 'bad') throw new Error('no')",
    })
  })

  test('keeps to the limits of the settings, and says that a setup has failed', async () => {
    await using dir = await setup({
      'loop.js': 'export function processEvent() { for (;;); }',
      'setup.js':
        'export async function setupPlugin() {\n  throw new Error("no key")\n}\nexport const processEvent = (e) => e',
    })
    const event = ['--event', '{"event": "a"}']
    const loop = await run(['test', dir.at('loop.js'), ...event, '--set', 'sandbox.itemCpuMs=100'])
    assert.equal(loop.code, 1)
    assert.match(
      loop.out,
      /1\. a: failed.*\n {2}error {2}timeout: The program computed for longer than 100 ms\./,
    )
    const failed = await run(['test', dir.at('setup.js'), ...event])
    assert.equal(failed.code, 1)
    assert.match(failed.out, /^setup .*\nThe setup failed; no event was run\.\n/)
    assert.match(failed.out, /error {2}Error: no key {2}\(setup\.js:2: throw new Error\("no key"\)\)/)
  })

  test('lets a plugin ask public addresses only, when it is allowed to ask at all', async () => {
    await using dir = await setup({
      'a.js': `export async function processEvent(event) {
        try { await fetch('http://127.0.0.1:1/') } catch (error) { event.properties.said = error.message }
        return event
      }`,
    })
    const words = ['test', dir.at('a.js'), '--event', '{"event": "a"}']
    assert.match((await run(words)).out, /said {2}"fetch is refused in this test\. Give --allow-fetch/)
    const { code, out } = await run([...words, '--allow-fetch'])
    assert.equal(code, 0)
    assert.match(out, /fetch {2}GET http:\/\/127\.0\.0\.1:1\/: .*127\.0\.0\.1/)
    assert.doesNotMatch(out, /Give --allow-fetch/)
  })

  test('reads events from standard input', async () => {
    await using dir = await setup({ 'a.js': passes })
    const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))
    const child = spawn(process.execPath, [program, 'plugin', 'test', dir.at('a.js'), '--event', '-'], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const closed = once(child, 'close')
    child.stdin.end('[{"event": "a"}, {"event": "b"}]')
    assert.equal(JSON.parse(await text(child.stdout)).events.length, 2)
    assert.deepEqual(await closed, [0, null])
  })
})

test('what is wrong with a call is said before anything is run, with exit code 2', async () => {
  await using dir = await setup({
    'a.js': passes,
    'lines.txt': '{"event": "a"}\n{"event": \n',
    'empty.txt': '\n',
    'p/plugin.json': '{"main": "a.js", "config": [{"key": "token", "required": true}]}',
    'p/a.js': passes,
  })
  const event = ['--event', '{"event": "a"}']
  for (const [words, sentence] of [
    [[], /Say test and a file or a folder/],
    [['run', dir.at('a.js')], /Say test/],
    [['test', dir.at('a.js')], /--event takes JSON, a file, or -/],
    [['test', dir.at('lost.js'), ...event], /There is no file .*lost\.js/],
    [['test', dir.at('a.js'), '--event', '{'], /--event is not JSON/],
    [['test', dir.at('a.js'), '--event', '[]'], /--event has no event/],
    [['test', dir.at('a.js'), '--event', '[{"event": "a"}, 1]'], /event 2 is no object with a name/],
    [['test', dir.at('a.js'), '--event', dir.at('lost.json')], /lost\.json cannot be read: ENOENT/],
    [['test', dir.at('a.js'), '--event', dir.at('lines.txt')], /lines\.txt, line 2, is not JSON/],
    [['test', dir.at('a.js'), '--event', dir.at('empty.txt')], /empty\.txt has no event/],
    [
      ['test', dir.at('a.js'), ...event, '--plugin-config', '[1]'],
      /--plugin-config is no object of config keys/,
    ],
    [['test', dir.at('a.js'), ...event, '--attachment', 'x'], /--attachment takes key=file, not "x"/],
    [['test', dir.at('a.js'), ...event, '--attachment', 'x=lost'], /lost cannot be read/],
    [['test', dir.at('p'), ...event], /The plugin requires the config key token/],
  ] as const) {
    const { code, out, err } = await run(words)
    assert.deepEqual([code, out], [2, ''], err)
    assert.match(err, sentence)
  }
})

test('a plugin that cannot be run is told by its place, with exit code 1', async () => {
  await using dir = await setup({
    'import.ts': "import _ from 'lodash'\nexport const processEvent = (event) => _.clone(event)",
    'p/index.txt': '',
    'p/plugin.json': '{}',
    'q/plugin.json': '{"main": "lost.js"}',
    'r/index.js': passes,
  })
  for (const [name, sentence] of [
    [
      'import.ts',
      /PLUGIN_INVALID: .*import\.ts:1: import _ .*\n {2}because: .*no module "lodash".*plugin-scaffold/,
    ],
    ['p', /PLUGIN_INVALID: plugin\.json names no "main" file, and .* has neither index\.js nor index\.ts/],
    ['q', /PLUGIN_INVALID: .*lost\.js cannot be read/],
    ['r', /PLUGIN_INVALID: .*plugin\.json cannot be read/],
  ] as const) {
    const { code, err } = await run(['test', dir.at(name), '--event', '{"event": "a"}'])
    assert.equal(code, 1)
    assert.match(err, sentence)
  }
})
