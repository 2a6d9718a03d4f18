/**
 * Reads storages from YAML files: form, contradictions, and the files that they name. Whatever is wrong with
 * all of them is told at once, each as `file:line:column: sentence`, in one `STORAGE_INVALID`.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { builtInProcessorNames, findBuiltInProcessor } from '../processors/registry.ts'
import { completeStorage } from './complete.ts'
import { describeIssue } from './describe-issue.ts'
import { type StorageDocument, storageDocument } from './document.ts'
import { compileMessageSchema } from './message-schema.ts'
import { storageFindings } from './rules.ts'
import type { Storage } from './storage.ts'
import { type Finding, readYamlText } from './yaml-text.ts'

/** Storages beside those of this program: files, and folders whose `.yaml` files are storages. */
export type StorageSources = { files?: readonly string[]; folders?: readonly string[] }

/** A storage and the file that it was read from. */
export type StorageFile = { path: string; storage: Storage }

/** The reference set; Rowmill's own datasets are in its folder `rowmill`. */
export const storagesFolder = fileURLToPath(new URL('../../../storages/', import.meta.url))
export const ownStoragesFolder = join(storagesFolder, 'rowmill')

const processors = {
  formatsOf: (name: string) => findBuiltInProcessor(name)?.formats,
  names: builtInProcessorNames,
}

/** Fails with `STORAGE_INVALID`. */
export async function readStorage(path: string): Promise<Storage> {
  const [file] = await readStorageFiles([path])
  if (file === undefined) throw invalid([`${path}: nothing was read.`])
  return file.storage
}

/** The storages of this program and the given ones, by name. Fails with `STORAGE_INVALID`. */
export async function readStorages(sources: StorageSources = {}): Promise<Storage[]> {
  const files = await readStorageFiles(await listStorageFiles(sources))
  return files.map(({ storage }) => storage)
}

/** Rowmill's own datasets: what the role `datasets` fills. */
export async function readOwnStorages(): Promise<Storage[]> {
  const files = await readStorageFiles(await listYamlFiles(ownStoragesFolder))
  return files.map(({ storage }) => storage)
}

/**
 * One storage by its name, or by the path of its file. Only that file must be right. Fails with
 * `STORAGE_UNKNOWN` or `STORAGE_INVALID`.
 */
export async function findStorage(nameOrPath: string, sources: StorageSources = {}): Promise<Storage> {
  const { storage } = await findStorageFile(nameOrPath, sources)
  return storage
}

export async function findStorageFile(
  nameOrPath: string,
  sources: StorageSources = {},
): Promise<StorageFile> {
  const paths = /\.ya?ml$/.test(nameOrPath) ? [resolve(nameOrPath)] : await listStorageFiles(sources)
  const named = await Promise.all(paths.map(async (path) => ({ path, name: await peekName(path) })))
  const found = /\.ya?ml$/.test(nameOrPath) ? named : named.filter(({ name }) => name === nameOrPath)
  if (found.length === 0)
    throw new RowmillError(
      'STORAGE_UNKNOWN',
      `There is no storage ${nameOrPath}; there are ${named
        .map(({ name }) => name)
        .toSorted()
        .join(', ')}.`,
    )
  const [file] = await readStorageFiles(found.map(({ path }) => path))
  if (file === undefined) throw invalid([`${nameOrPath}: nothing was read.`])
  return file
}

/** Paths of the program's storages and of the given ones, each once. */
export async function listStorageFiles({ files = [], folders = [] }: StorageSources = {}): Promise<string[]> {
  const listed = await Promise.all([storagesFolder, ownStoragesFolder, ...folders].map(listYamlFiles))
  return [...new Set([...listed.flat(), ...files.map((file) => resolve(file))])]
}

/** Reads exactly these files. Fails with one `STORAGE_INVALID` for all that is wrong with them. */
export async function readStorageFiles(paths: readonly string[]): Promise<StorageFile[]> {
  const results = await Promise.all(paths.map(readOne))
  const readings = results.flatMap(({ reading }) => (reading === undefined ? [] : [reading]))
  const findings = [
    ...results.flatMap((result) => result.findings),
    ...nameFindings(readings),
    ...sharedTableFindings(readings),
  ]
  if (findings.length > 0) throw invalid(findings)
  return readings
    .map(({ path, storage }) => ({ path, storage }))
    .toSorted((left, right) => (left.storage.name < right.storage.name ? -1 : 1))
}

/** A storage that is right by itself, and how to tell of a place in its file. */
type Reading = StorageFile & { tell: (finding: Finding) => string }

function nameFindings(readings: readonly Reading[]): string[] {
  const byName = Map.groupBy(readings, ({ storage }) => storage.name)
  return [...byName].flatMap(([name, [first, ...others]]) =>
    others.map(({ tell }) =>
      tell({ path: ['name'], message: `The name ${name} is taken by ${shown(first?.path ?? '')}.` }),
    ),
  )
}

/** Several storages may fill one table, if they agree what it is like. */
function sharedTableFindings(readings: readonly Reading[]): string[] {
  const known = new Map<string, { path: string; text: string }>()
  return readings.flatMap(({ path, storage, tell }) =>
    storage.tables.flatMap((table, index) => {
      const text = JSON.stringify(table)
      const other = known.get(table.name)
      if (other === undefined) known.set(table.name, { path, text })
      if (other === undefined || other.text === text) return []
      const message = `The table ${table.name} is not the same as in ${shown(other.path)}, which fills it too.`
      return [tell({ path: ['tables', index, 'name'], message })]
    }),
  )
}

async function readOne(path: string): Promise<{ reading: Reading | undefined; findings: string[] }> {
  const fail = (findings: string[]) => ({
    reading: undefined,
    findings: findings.map((finding) => `${shown(path)}:${finding}`),
  })
  const text = await readText(path)
  if (text instanceof Error) return fail([`1:1: The file cannot be read: ${text.message}.`])
  const yaml = readYamlText(text)
  if (yaml.errors.length > 0) return fail(yaml.errors)
  const tell = (finding: Finding) => `${yaml.placeOf(finding)}: ${finding.message}`
  const parsed = storageDocument.safeParse(yaml.value)
  if (!parsed.success)
    return fail(parsed.error.issues.flatMap((issue) => describeIssue(issue, yaml.value)).map(tell))
  const found = await findFiles(parsed.data, dirname(path))
  const findings = [...storageFindings(parsed.data, processors), ...found.findings]
  if (findings.length > 0) return fail(findings.map(tell))
  const storage = completeStorage(parsed.data, found)
  const tellOf = (finding: Finding) => `${shown(path)}:${tell(finding)}`
  return { reading: { path: resolve(path), storage, tell: tellOf }, findings: [] }
}

/** The message schema and the module that the YAML names. */
async function findFiles({ stream, processor }: StorageDocument, folder: string) {
  const findings: Finding[] = []
  let messageSchema: Record<string, unknown> | undefined
  if (stream.schema !== undefined) {
    const schema = await readSchema(resolve(folder, stream.schema))
    if (typeof schema === 'string')
      findings.push({
        path: ['stream', 'schema'],
        message: `stream.schema names ${stream.schema}, ${schema}.`,
      })
    else messageSchema = schema
  }
  const module = processor.module === undefined ? undefined : resolve(folder, processor.module)
  if (module !== undefined && !(await isFile(module)))
    findings.push({
      path: ['processor', 'module'],
      message: `processor.module names ${processor.module}, which is no file.`,
    })
  return { messageSchema, module, findings }
}

/** The schema, or what is wrong with it. */
async function readSchema(path: string): Promise<Record<string, unknown> | string> {
  const text = await readText(path)
  if (text instanceof Error) return 'which cannot be read'
  try {
    const schema: unknown = JSON.parse(text)
    if (!isObject(schema)) return 'which is no JSON object'
    await compileMessageSchema(schema)
    return schema
  } catch (error) {
    return `which is no JSON Schema: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Absolute paths of the YAML files of a folder, not of the folders in it. Fails with `STORAGE_INVALID`. */
export async function listYamlFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new RowmillError('STORAGE_INVALID', `The folder ${folder} cannot be read.`, { cause })
  })
  return entries
    .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
    .map(({ name }) => join(resolve(folder), name))
    .toSorted()
}

/** The name that a file gives, whatever else may be wrong with it. */
async function peekName(path: string): Promise<string> {
  const text = await readText(path)
  const name = text instanceof Error ? undefined : /^name:\s*['"]?([\w-]+)/m.exec(text)?.[1]
  return name ?? basename(path).replace(/\.ya?ml$/, '')
}

async function readText(path: string): Promise<string | Error> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true
}

/** Relative to where the program runs, if that is shorter. */
function shown(path: string): string {
  const near = relative('', path)
  return near.startsWith('..') || near === '' ? path : near
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function invalid(findings: readonly string[]): RowmillError {
  return new RowmillError('STORAGE_INVALID', findings.join('\n'), { details: { findings } })
}
