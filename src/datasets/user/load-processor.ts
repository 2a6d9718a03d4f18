/**
 * Finds the function that makes a processor: in the registry, or in a user's module, which Node loads as it
 * is, TypeScript included. `rowmill/processor` in such a module always means this program's own, whether or
 * not a package of that name is installed beside it.
 */
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { CreateProcessor } from '../processor/processor.ts'
import type { ProcessorSource } from './choose-processor.ts'

const interfaceName = 'rowmill/processor'
const interfaceUrl = new URL('../processor/interface.ts', import.meta.url).href

/** Throws `PROCESSOR_INVALID` with the file's name, and `PROCESSOR_UNKNOWN` for a name that does not exist. */
export async function loadProcessor(source: ProcessorSource): Promise<CreateProcessor> {
  if (source.kind === 'module') return loadModule(source.file)
  // Loaded only where it is wanted: a user's thread starts sooner and smaller without it.
  const { loadBuiltInProcessor } = await import('../processors/registry.ts')
  const create = await loadBuiltInProcessor(source.name)
  if (create === undefined)
    throw new RowmillError('PROCESSOR_UNKNOWN', `There is no built-in processor ${source.name}.`)
  return create
}

/** The hook stays: a module may import more of its files later. */
export function resolveInterfaceImports(): { deregister: () => void } {
  return registerHooks({
    resolve: (specifier, context, next) =>
      specifier === interfaceName
        ? { url: interfaceUrl, format: 'module-typescript', shortCircuit: true }
        : next(specifier, context),
  })
}

async function loadModule(file: string): Promise<CreateProcessor> {
  let loaded: unknown
  const hooks = resolveInterfaceImports()
  try {
    loaded = await import(pathToFileURL(file).href)
  } catch (cause) {
    throw new RowmillError('PROCESSOR_INVALID', `The processor module ${file} does not load.`, { cause })
  } finally {
    hooks.deregister()
  }
  const create =
    typeof loaded === 'object' && loaded !== null && 'createProcessor' in loaded
      ? loaded.createProcessor
      : undefined
  if (!isCreateProcessor(create))
    throw new RowmillError(
      'PROCESSOR_INVALID',
      `The processor module ${file} does not export a function createProcessor.`,
    )
  return create
}

function isCreateProcessor(value: unknown): value is CreateProcessor {
  return typeof value === 'function'
}
