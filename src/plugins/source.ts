/** A plugin as its author has it: one source file, or a folder with plugin.json. */
import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { RowmillError } from '../errors/rowmill-error.ts'
import { type PluginManifest, readManifest } from './manifest.ts'

export type PluginSource = {
  /** The main file's name; positions carry it. */
  name: string
  text: string
  /** None for a single file. */
  manifest: PluginManifest | undefined
}

/** What PostHog takes when plugin.json names no main file. */
const mainNames = ['index.js', 'index.ts']

/** Throws `PLUGIN_INVALID`. */
export async function readPlugin(path: string): Promise<PluginSource> {
  const isFolder = await look(path, async () => (await stat(path)).isDirectory())
  if (!isFolder) return { name: basename(path), text: await readText(path), manifest: undefined }
  const file = join(path, 'plugin.json')
  const manifest = readManifest(await readText(file), file)
  const main = manifest.main ?? (await findMain(path))
  return { name: basename(main), text: await readText(join(path, main)), manifest }
}

async function findMain(folder: string): Promise<string> {
  for (const name of mainNames) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found?.isFile() === true) return name
  }
  throw new RowmillError(
    'PLUGIN_INVALID',
    `plugin.json names no "main" file, and ${folder} has neither ${mainNames.join(' nor ')}.`,
  )
}

function readText(path: string): Promise<string> {
  return look(path, () => readFile(path, 'utf8'))
}

async function look<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new RowmillError('PLUGIN_INVALID', `${path} cannot be read.`, { cause })
  }
}
