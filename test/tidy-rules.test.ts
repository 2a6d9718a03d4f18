/** Each rule of `tidy.test.ts` finds what it is for, on small made-up sources, and leaves alone what is right. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { findCycle, layerViolations, unreachable } from './support/tidy/graph.ts'
import {
  bannedComments,
  bannedWords,
  fullFolders,
  limits,
  longFiles,
  longFunctions,
  manyParameters,
  wrongEndings,
  wrongNames,
} from './support/tidy/rules.ts'
import { createSource } from './support/tidy/source.ts'
import { tokenize } from './support/tidy/tokens.ts'

const one = (text: string, path = 'src/ingest/step.ts') => [createSource(path, text)]
const many = (files: Record<string, string>) =>
  Object.entries(files).map(([path, text]) => createSource(path, text))
const lines = (count: number, line = 'use(1)') => Array.from({ length: count }, () => line).join('\n')

suite('imports', () => {
  const violations = (path: string, text: string): number => layerViolations(one(text, path)).length

  test('a lower layer may not import a higher one, a higher one may import a lower one', () => {
    assert.equal(violations('src/std/a.ts', "import { x } from '../ingest/b.ts'"), 1)
    assert.equal(violations('src/ports/a.ts', "import { x } from '../platform/b.ts'"), 1)
    assert.equal(violations('src/ingest/a.ts', "import { x } from '../std/b.ts'"), 0)
    assert.equal(violations('src/platform/a.ts', "import { x } from '../adapters/postgres/b.ts'"), 0)
  })

  test('capabilities and adapters never import each other, not even a type', () => {
    assert.equal(violations('src/ingest/a.ts', "import { x } from '../capture/b.ts'"), 1)
    assert.equal(violations('src/ingest/a.ts', "import type { X } from '../capture/b.ts'"), 1)
    assert.equal(violations('src/api/a/b.ts', "export * from '../../adapters/postgres/b.ts'"), 1)
    assert.equal(violations('src/adapters/postgres/a.ts', "import { x } from '../../api/b.ts'"), 1)
    assert.equal(violations('src/api/a/b.ts', "import { x } from '../b.ts'"), 0)
  })

  test('every form of import counts, and none inside a comment or a text', () => {
    for (const text of [
      "import '../capture/b.ts'",
      "import x, { type Y } from '../capture/b.ts'",
      "import * as all from '../capture/b.ts'",
      "import {\n  x,\n  y,\n} from '../capture/b.ts'",
      "export { x } from '../capture/b.ts'",
      "export type { X } from '../capture/b.ts'",
      "const { x } = await import('../capture/b.ts')",
      "const worker = new URL('../capture/b.ts', import.meta.url)",
      "let x: import('../capture/b.ts').X",
    ])
      assert.equal(violations('src/ingest/a.ts', text), 1, text)
    for (const text of [
      "// import '../capture/b.ts'",
      '/** import x from "../capture/b.ts" */',
      'const text = `\nimport "../capture/b.ts"\n`',
      "export const from = '../capture/b.ts'",
    ])
      assert.equal(violations('src/ingest/a.ts', text), 0, text)
  })

  test('a folder without a layer and a file outside src are named', () => {
    assert.match(layerViolations(one('', 'src/stuff/a.ts'))[0] ?? '', /stuff has no layer/)
    assert.equal(violations('src/ingest/a.ts', "import { x } from '../../test/support/b.ts'"), 1)
    assert.equal(violations('src/ports/log.contract.ts', "import { x } from '../../test/support/b.ts'"), 0)
  })

  test('tests may import what they need', () => {
    assert.equal(violations('src/ingest/a.test.ts', "import { x } from '../adapters/postgres/b.ts'"), 0)
  })

  test('a cycle of value imports is found, a cycle closed by types is not one', () => {
    const cycle = (back: string) =>
      findCycle(
        many({
          'src/a.ts': "import { b } from './b.ts'",
          'src/b.ts': "import { c } from './c.ts'",
          'src/c.ts': back,
        }),
      )
    assert.equal(cycle("import { a } from './a.ts'"), 'src/a.ts -> src/b.ts -> src/c.ts -> src/a.ts')
    assert.equal(cycle("export * from './a.ts'")?.length, 44)
    assert.notEqual(cycle("import { type A } from './a.ts'"), undefined)
    assert.equal(cycle("import type { A } from './a.ts'"), undefined)
    assert.equal(cycle("export type { A } from './a.ts'"), undefined)
    assert.equal(cycle(''), undefined)
  })

  test('an import without its ending is named', () => {
    assert.equal(wrongEndings(one("import { x } from './b'")).length, 1)
    assert.equal(wrongEndings(one("import { x } from './b.js'")).length, 1)
    assert.deepEqual(wrongEndings(one("import { x } from './b.ts'\nimport pg from 'pg'")), [])
  })

  test('a file that nothing imports is dead, one that only a test imports as well', () => {
    const sources = many({
      'src/main.ts': "import './used.ts'",
      'src/used.ts': "import type { T } from './types-only.ts'",
      'src/types-only.ts': '',
      'src/dead.ts': "import './used.ts'",
      'src/tested.ts': '',
      'src/tested.test.ts': "import './tested.ts'",
      'src/ports/a.contract.ts': '',
      'src/a.test.ts': "import './ports/a.contract.ts'",
      'test/support/unused.ts': '',
    })
    assert.deepEqual(unreachable(sources), [
      'src/dead.ts: nothing imports it',
      'src/tested.ts: only tests import it, the program does not',
      'test/support/unused.ts: nothing imports it',
    ])
  })
})

suite('sizes', () => {
  test('a long file and a full folder are named', () => {
    assert.equal(longFiles(one(lines(limits.fileLinesMax))).length, 0)
    assert.equal(longFiles(one(lines(limits.fileLinesMax + 1))).length, 1)
    assert.equal(longFiles(one(lines(1000), 'src/ingest/a.test.ts')).length, 0)
    const folder = (count: number) =>
      many(Object.fromEntries(Array.from({ length: count }, (_, index) => [`src/api/a${index}.ts`, ''])))
    assert.equal(fullFolders(folder(limits.folderFilesMax)).length, 0)
    assert.deepEqual(fullFolders(folder(limits.folderFilesMax + 1)), [
      'src/api: 16 files, make folders by concept',
    ])
  })

  /** Every shape a function has, around a body of so many lines. */
  const shapes: Record<string, (body: string) => string> = {
    declaration: (body) => `export async function long(a: string, b = {}): Promise<{ x: 1 }> {\n${body}\n}`,
    generator: (body) =>
      `export async function* long<T extends { a: 1 }>(a: T): AsyncIterable<T> {\n${body}\n}`,
    'wide declaration': (body) =>
      `function long(\n  a: string,\n  b: () => void,\n): asserts a is 'x' {\n${body}\n}`,
    'arrow function': (body) => `const long = async <T>(a: T): Promise<T[]> => {\n${body}\n}`,
    'typed arrow function': (body) => `export const long: Step<{ a: 1 }> = (a) => {\n${body}\n}`,
    'arrow with an expression': (body) => `const long = () =>\n  all([\n${body.replaceAll('\n', ',\n')}\n])`,
    'arrow with an object': (body) => `const long = () => ({\n${body.replace(/use\(1\)/g, 'a,')}\n})\nnext()`,
    'object method': (body) => `return {\n  a: 1,\n  async long(a) {\n${body}\n  },\n}`,
    'object arrow': (body) => `return {\n  a: 1,\n  long: (a): { b: 1 } => {\n${body}\n  },\n}`,
    accessor: (body) => `const a = {\n  get long(): string {\n${body}\n  },\n}`,
    'class method': (body) =>
      `class A {\n  #x = 1\n  static async long(a: [1, 2]): Promise<void> {\n${body}\n  }\n}`,
    'private method': (body) => `class A {\n  #long<T>(a: T) {\n${body}\n  }\n}`,
    'class constructor': (body) => `class A {\n  constructor(long: string) {\n${body}\n  }\n}`,
    'symbol method': (body) => `return {\n  async [Symbol.asyncDispose]() {\n${body}\n  },\n}`,
    callback: (body) => `items.map(async ({ long }, index) => {\n${body}\n})`,
    'function expression': (body) => `run(function (long) {\n${body}\n})`,
    'after a template': (body) => `const a = \`\${b}}\${/[{]/.test(c)}{\`\nfunction long() {\n${body}\n}`,
  }

  for (const [name, shape] of Object.entries(shapes))
    test(`a long function is found as: ${name}`, () => {
      assert.equal(longFunctions(one(shape(lines(limits.functionLinesMax)))).length, 1)
      assert.equal(longFunctions(one(shape(lines(limits.functionLinesMax - 10)))).length, 0)
    })

  test('what is no function is not counted', () => {
    const body = lines(100)
    for (const text of [
      `if (a) {\n${body}\n}`,
      `for await (const a of b) {\n${body}\n}`,
      `while (a) {\n${body}\n}`,
      `switch (a) {\n${body}\n}`,
      `try {\n${body}\n} catch (error) {\n${body}\n}`,
      `const a = {\n${body.replaceAll('\n', ',\n')}\n}`,
      `const a = b ? f(c) : {\n${body.replaceAll('use(1)', 'a: 1,')}\n}`,
      `const a = (b)\n${body}`,
      `const short = () => f(1)\n${body}`,
      `call(a, {\n${body.replaceAll('use(1)', 'a: 1,')}\n})`,
      `type A = {\n${body.replaceAll('use(1)', 'f: (a: string) => void')}\n}`,
      `class A {\n${body.replaceAll('use(1)', 'a() {}')}\n}`,
    ])
      assert.deepEqual(longFunctions(one(text)), [], text.slice(0, 40))
  })

  test('a function with too many positional parameters is named', () => {
    assert.equal(manyParameters(one('function f(a: Map<1, 2>, b: [1, 2], c = g(1, 2), d) {}')).length, 1)
    assert.equal(manyParameters(one('const f = (a, b, c, d) => a')).length, 1)
    assert.equal(manyParameters(one('const a = { f(a, b, c, d) {} }')).length, 1)
    assert.deepEqual(
      manyParameters(one('function f(\n  a: Map<1, 2>,\n  b: [1, 2],\n  c = g(1, 2),\n) {}')),
      [],
    )
    assert.deepEqual(manyParameters(one('function f({ a, b, c, d }: X, e: (a, b, c) => void) {}')), [])
    assert.deepEqual(manyParameters(one('f(1, 2, 3, 4)\nif (a) {\n}')), [])
  })
})

suite('words and names', () => {
  const found = (text: string, path?: string): number => bannedWords(one(text, path)).length

  test('a banned word is found in code', () => {
    for (const text of [
      'const a = Date.now()',
      'const a = new Date()',
      'const a = Math.random()',
      'setTimeout(a, 1)',
      'const a = process.env.HOME',
      'process.exit(1)',
      'console.log(1)',
      'const a = b as any',
      'const a: any = 1',
      'const a = b as unknown as string',
      'const a = b.c!.d',
      'const a = b[0]!',
      'enum A { B }',
      `const a = \`\${Date.now()}\``,
    ])
      assert.equal(found(text), 1, text)
  })

  test('it is not found in comments, texts and regular expressions, nor in tests, nor where it is at home', () => {
    for (const text of [
      '// Date.now() would do',
      '/* process.env */',
      "const a = 'Date.now()'",
      'const a = `console.log(1)`',
      'const a = /process.env/.test(b)',
      'const a = b / Math.max(1) / c',
      'const a = "it\'s // console.log(1)"',
      'const a = b !== c',
      'const a = !b',
      'const a = new Date(1)',
    ])
      assert.equal(found(text), 0, text)
    assert.equal(found('setTimeout(a, 1)', 'src/ingest/a.test.ts'), 0)
    assert.equal(found('process.env', 'src/main.ts'), 0)
  })

  test('a comment that promises work or silences a check is found, also in tests', () => {
    const later = ['TO', 'DO'].join('')
    assert.equal(bannedComments(one(`// ${later}: more`)).length, 1)
    assert.equal(bannedComments(one(`/** ${later} */`, 'src/a.test.ts')).length, 1)
    assert.equal(bannedComments(one(`// @ts-${'ignore'}`)).length, 1)
    assert.equal(bannedComments(one(`const a = '${later}'`)).length, 0)
  })

  test('drawers, other cases and forbidden suffixes are named', () => {
    for (const path of ['src/std/utils.ts', 'src/ingest/myFile.ts', 'src/api/index.ts', 'src/api/types.ts'])
      assert.equal(wrongNames(one('', path)).length, 1, path)
    for (const text of ['class EventManager {}', 'function runHelper() {}', 'interface LogWrapper {}'])
      assert.equal(wrongNames(one(`export ${text}`)).length, 1, text)
    assert.deepEqual(wrongNames(one('export class Service {}', 'src/api/type-names.ts')), [])
  })
})

suite('tokens', () => {
  test('lines and kinds are right after comments, templates with holes and regular expressions', () => {
    const text =
      "/* a\nb */ const x = `1\n@{ { a: '}' }.a }\n2` // c\nx / 2 / y; /[/}]\\//g.test(x)\nlast".replace(
        '@',
        '$',
      )
    const tokens = tokenize(text)
    assert.deepEqual(tokens.at(-1), {
      kind: 'word',
      text: 'last',
      line: 6,
      endLine: 6,
      start: text.length - 4,
    })
    assert.deepEqual(
      tokens
        .filter(({ kind }) => /comment|template|expression/.test(kind))
        .map(({ kind, line }) => [kind, line]),
      [
        ['comment', 1],
        ['template', 2],
        ['template', 3],
        ['comment', 4],
        ['expression', 5],
      ],
    )
  })
})
