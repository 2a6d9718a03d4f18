/** Rules about which file may import which. Every rule is a function of sources and answers sentences. */
import type { SourceFile } from './source.ts'

/** The layer of a folder below src. A file may import its own folder and lower layers. */
const layers: Readonly<Record<string, number>> = Object.fromEntries(
  [
    ['std'],
    ['event', 'errors'],
    ['telemetry', 'ports'],
    ['stream', 'http', 'supervise', 'jobs', 'hog', 'sandbox'],
    [
      'capture',
      'ingest',
      'datasets',
      'api',
      'plugins',
      'flags',
      'definitions',
      'exceptions',
      'destinations',
      'webhooks',
      'imports',
      'observe',
      'adapters',
    ],
    ['platform'],
    ['cli'],
    ['main.ts'],
  ].flatMap((folders, layer) => folders.map((folder) => [folder, layer])),
)

/** Imports of the product that point up or sideways, or out of src. Tests meet whom they need; a contract suite may use what tests share. */
export function layerViolations(sources: readonly SourceFile[]): string[] {
  const product = sources.filter(({ path }) => path.startsWith('src/') && !path.endsWith('.test.ts'))
  return product.flatMap((source) => {
    const from = source.path.split('/')[1] ?? ''
    const layer = layers[from]
    if (layer === undefined) return [`${source.path}: the folder ${from} has no layer`]
    return source.imports.flatMap(({ target, isRelative }) => {
      if (!isRelative) return []
      const problem = `${source.path} imports ${target}`
      const to = target.split('/')[1] ?? ''
      if (!target.startsWith('src/')) {
        const isShared = source.path.endsWith('.contract.ts') && target.startsWith('test/support/')
        return target.endsWith('.ts') && !isShared ? [`${problem}, which is outside src`] : []
      }
      if (from === to || (layers[to] ?? Number.POSITIVE_INFINITY) < layer) return []
      return [`${problem}: ${from} stands below or beside ${to}`]
    })
  })
}

/** The first cycle of value imports, as a readable chain. */
export function findCycle(sources: readonly SourceFile[]): string | undefined {
  const edges = new Map(
    sources.map(({ path, imports }) => [
      path,
      imports.filter((entry) => !entry.isTypeOnly).map((entry) => entry.target),
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

/** Every file reached by imports from `entries`, those included. `mayEnter` stops the walk. */
export function reachedFrom(
  sources: readonly SourceFile[],
  entries: readonly string[],
  mayEnter: (path: string) => boolean = () => true,
): Set<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const reached = new Set<string>()
  const open = [...entries]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = byPath.get(path)
    if (source === undefined || reached.has(path)) continue
    reached.add(path)
    open.push(...source.imports.map(({ target }) => target).filter(mayEnter))
  }
  return reached
}

/** Files that nothing imports, and files of the product that only tests, scripts or benches import. */
export function unreachable(sources: readonly SourceFile[]): string[] {
  const paths = sources.map(({ path }) => path)
  const byProgram = reachedFrom(sources, ['src/main.ts'])
  const byAll = reachedFrom(sources, [
    'src/main.ts',
    ...paths.filter((path) => path.endsWith('.test.ts') || /^(scripts|bench)\//.test(path)),
  ])
  return paths.flatMap((path) => {
    if (!byAll.has(path)) return [`${path}: nothing imports it`]
    const isProduct = path.startsWith('src/') && !/\.(test|contract)\.ts$/.test(path)
    return isProduct && !byProgram.has(path) ? [`${path}: only tests import it, the program does not`] : []
  })
}
