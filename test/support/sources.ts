/** Reads the project's own TypeScript files for the tidy tests: lines, functions and imports, without a compiler. */
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

export type SourceFile = {
  path: string
  text: string
  lines: string[]
  /** Lines with comments and the insides of strings blanked. */
  code: string[]
  imports: { target: string; isTypeOnly: boolean }[]
  functions: { name: string; line: number; lines: number }[]
}

const root = new URL('../../', import.meta.url)

export function readSources(): SourceFile[] {
  return globSync('{src,test,scripts,bench}/**/*.ts', { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map(readSource)
}

function readSource(path: string): SourceFile {
  const text = readFileSync(new URL(path, root), 'utf8')
  const lines = text.replace(/\n$/, '').split('\n')
  const code = blankComments(text).split('\n')
  return { path, text, lines, code, imports: importsOf(path, text), functions: functionsOf(code) }
}

/** Replaces comments by blanks; a string that looks like a comment opener is left alone when it follows a quote or a colon. */
function blankComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[\s;{}(),])\/\/[^\n]*/g, '$1')
}

function importsOf(path: string, text: string): SourceFile['imports'] {
  const found: SourceFile['imports'] = []
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s+)?([^'"]*?)\s*from\s*['"](\.[^'"]+)['"]/gm,
  )) {
    const names = match[2] ?? ''
    const isTypeOnly =
      match[1] !== undefined ||
      (/^\{/.test(names) &&
        names.replace(/[{}\s]/g, '') !== '' &&
        names
          .replace(/[{}]/g, '')
          .split(',')
          .filter((n) => n.trim() !== '')
          .every((name) => /^\s*type\s/.test(name)))
    found.push({ target: posix.join(posix.dirname(path), match[3] ?? ''), isTypeOnly })
  }
  for (const match of text.matchAll(/(?:^import\s+|\bimport\(\s*|new URL\(\s*)['"](\.[^'"]+\.ts)['"]/gm))
    found.push({ target: posix.join(posix.dirname(path), match[1] ?? ''), isTypeOnly: false })
  return found
}

const functionStart =
  /^(\s*)(?:export\s+)?(?:default\s+)?(?:(?:async\s+)?function\s*\*?\s*(\w+)|(?:const|let)\s+(\w+)\s*=\s*(?:async\s*)?(?:\([^)]*\)|\w+)\s*(?::[^=]+)?=>\s*\{\s*$|(?:(?:public|private|protected|static|override|async|get|set|\*)\s+)*(#?\w+)\s*(?:<[^>]*>)?\([^;]*\)?[^;=]*\{\s*$)/

/** A function ends at the first line that closes it at its own indentation; the formatter guarantees that shape. */
function functionsOf(code: readonly string[]): SourceFile['functions'] {
  const found: SourceFile['functions'] = []
  for (const [index, line] of code.entries()) {
    const match = functionStart.exec(line)
    const name = match?.[2] ?? match?.[3] ?? match?.[4]
    if (
      match === null ||
      name === undefined ||
      /^(if|for|while|switch|catch|return|test|describe|else|do)$/.test(name)
    )
      continue
    const indent = match[1] ?? ''
    const end = code.findIndex(
      (other, at) => at > index && other.startsWith(`${indent}}`) && !other.startsWith(`${indent}} `),
    )
    const endAny = end === -1 ? index : end
    found.push({ name, line: index + 1, lines: endAny - index + 1 })
  }
  return found
}

/** The layer of a folder below src; a file may import its own folder and lower layers. */
const layers: Readonly<Record<string, number>> = {
  std: 0,
  event: 1,
  errors: 1,
  telemetry: 2,
  ports: 2,
  stream: 3,
  http: 3,
  supervise: 3,
  jobs: 3,
  hog: 3,
  sandbox: 3,
  capture: 4,
  ingest: 4,
  datasets: 4,
  api: 4,
  plugins: 4,
  flags: 4,
  definitions: 4,
  exceptions: 4,
  destinations: 4,
  webhooks: 4,
  imports: 4,
  observe: 4,
  adapters: 4,
  platform: 5,
  cli: 6,
  'main.ts': 6,
}

export function layerViolations(sources: readonly SourceFile[]): string[] {
  const problems: string[] = []
  for (const source of sources) {
    // A test beside its source meets real engines; only the product's own arrows are held to the layers.
    if (source.path.endsWith('.test.ts')) continue
    const from = source.path.split('/')[1] ?? ''
    if (layers[from] === undefined) problems.push(`${source.path}: the folder ${from} has no layer`)
    for (const { target } of source.imports) {
      if (!target.startsWith('src/')) {
        if (!source.path.endsWith('.contract.ts') && target.endsWith('.ts'))
          problems.push(`${source.path} imports ${target}, which is outside src`)
        continue
      }
      const to = target.split('/')[1] ?? ''
      if (from === to) continue
      const isLower = (layers[to] ?? 99) < (layers[from] ?? -1)
      const isGround =
        to === 'errors' ||
        (to === 'ports' && from === 'telemetry') ||
        (to === 'telemetry' && from === 'ports') ||
        (from === 'cli' && to === 'main.ts') ||
        (from === 'main.ts' && to === 'cli')
      if (!isLower && !isGround)
        problems.push(`${source.path} imports ${target}: ${from} stands below or beside ${to}`)
    }
  }
  return problems
}

/** The first cycle of value imports, as a readable chain. */
export function findCycle(sources: readonly SourceFile[]): string | undefined {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      source.imports.filter((entry) => !entry.isTypeOnly).map((entry) => entry.target),
    ]),
  )
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): string | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path].join(' -> ')
    if (done.has(path)) return undefined
    for (const next of edges.get(path) ?? []) {
      const cycle = visit(next, [...trail, path])
      if (cycle !== undefined) return cycle
    }
    done.add(path)
    return undefined
  }
  for (const path of edges.keys()) {
    const cycle = visit(path, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}

/** Files under src that neither the program's entries nor anything reached from them import. */
export function unreachable(sources: readonly SourceFile[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const reached = new Set<string>()
  const visit = (path: string): void => {
    const source = byPath.get(path)
    if (source === undefined || reached.has(path)) return
    reached.add(path)
    for (const { target } of source.imports) visit(target)
  }
  for (const { path } of sources) {
    if (
      path === 'src/main.ts' ||
      path.endsWith('.test.ts') ||
      path.startsWith('scripts/') ||
      path.startsWith('bench/')
    )
      visit(path)
  }
  const byProgram = new Set<string>()
  const visitProgram = (path: string): void => {
    const source = byPath.get(path)
    if (source === undefined || byProgram.has(path)) return
    byProgram.add(path)
    for (const { target } of source.imports) visitProgram(target)
  }
  visitProgram('src/main.ts')
  const dead = sources
    .filter(({ path }) => !reached.has(path))
    .map(({ path }) => `${path}: nothing imports it`)
  const testOnly = sources
    .filter(
      ({ path }) =>
        path.startsWith('src/') &&
        !/\.(test|contract)\.ts$/.test(path) &&
        reached.has(path) &&
        !byProgram.has(path),
    )
    .map(({ path }) => `${path}: only tests import it, the program does not`)
  return [...dead, ...testOnly]
}
