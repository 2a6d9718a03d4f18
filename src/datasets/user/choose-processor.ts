/**
 * Which processor a storage gets: the one of its YAML, unless the command line asks for another. What is
 * asked for and does not exist is an error; another one never takes its place.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { RowFormat } from '../processor/processor.ts'
import { builtInProcessorNames, findBuiltInProcessor } from '../processors/registry.ts'

export type ProcessorSource = { kind: 'built_in'; name: string } | { kind: 'module'; file: string }

export type ProcessorWish = {
  /** `--processor`. */
  kind?: 'built-in' | 'user' | undefined
  /** `--processor-module`: an absolute path. */
  module?: string | undefined
}

/** What of a storage decides. */
export type ChoosingStorage = {
  name: string
  processor: { builtIn: string | undefined; module: string | undefined }
  writer: { format: RowFormat }
}

/** Throws `PROCESSOR_UNKNOWN`, naming what exists. */
export function chooseProcessor(storage: ChoosingStorage, wish: ProcessorWish = {}): ProcessorSource {
  const { builtIn } = storage.processor
  const module = wish.module ?? storage.processor.module
  if (wish.kind === 'built-in' && wish.module !== undefined)
    throw new RowmillError(
      'PROCESSOR_UNKNOWN',
      `A built-in processor was asked for, and the module ${wish.module} as well: leave one of them out.`,
    )
  if (wish.kind === 'built-in') return builtInSource(storage, builtIn)
  if (module !== undefined) return { kind: 'module', file: module }
  if (wish.kind === 'user')
    throw new RowmillError(
      'PROCESSOR_UNKNOWN',
      `The storage ${storage.name} has no processor of a user, only the built-in ${builtIn}: give one with --processor-module or as processor.module in its YAML.`,
    )
  return builtInSource(storage, builtIn)
}

function builtInSource(storage: ChoosingStorage, name: string | undefined): ProcessorSource {
  if (name === undefined)
    throw new RowmillError(
      'PROCESSOR_UNKNOWN',
      `The storage ${storage.name} has no built-in processor, only the module ${storage.processor.module}.`,
    )
  const found = findBuiltInProcessor(name)
  if (found === undefined)
    throw new RowmillError(
      'PROCESSOR_UNKNOWN',
      `The storage ${storage.name} asks for the built-in processor ${name}, which does not exist; there are ${builtInProcessorNames().join(', ')}.`,
    )
  if (!found.formats.includes(storage.writer.format))
    throw new RowmillError(
      'PROCESSOR_UNKNOWN',
      `The built-in processor ${name} of the storage ${storage.name} does not write ${storage.writer.format}, only ${found.formats.join(' and ')}.`,
    )
  return { kind: 'built_in', name }
}
