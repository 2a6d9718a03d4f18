import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { builtInProcessorNames, findBuiltInProcessor } from '../../../datasets/processors/registry.ts'
import { templateFiles } from '../../../datasets/user/template.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json, table } from '../../output.ts'

const program = fileURLToPath(new URL('../../../../', import.meta.url))

export const processorCommand: Command = {
  name: 'processor',
  summary: 'Begin a storage with a message processor of your own and test it; list the built-in ones.',
  usage: 'processor new <name> [folder] | test [folder] | list',
  wordsMax: 3,
  options: {},
  async run(context) {
    const [action, name, folder] = context.positionals
    if (action === 'list' && name === undefined) return list(context)
    if (action === 'new' && name !== undefined)
      return begin(context, { name, folder: resolve(folder ?? name) })
    if (action === 'test' && folder === undefined) return runTests(context, resolve(name ?? '.'))
    throw new UsageError('Say list, test, or new and a name.')
  },
}

function list({ terminal, isJson }: CommandContext): ExitCode {
  const found = builtInProcessorNames().map((name) => ({
    name,
    formats: findBuiltInProcessor(name)?.formats ?? [],
  }))
  terminal.out(
    isJson
      ? json(found)
      : table(terminal, found, [
          { title: 'processor', value: ({ name }) => name },
          { title: 'writes', value: ({ formats }) => formats.join(', ') },
        ]),
  )
  return 0
}

async function begin(
  { terminal, isJson }: CommandContext,
  { name, folder }: { name: string; folder: string },
): Promise<ExitCode> {
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(name))
    throw new UsageError('A name is up to 64 small letters, digits, _ and -, a letter first.')
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new UsageError(`The folder ${folder} is not empty.`)
  const files = Object.entries(templateFiles(name))
  for (const [path, text] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text, { flag: 'wx' })
  }
  await mkdir(join(folder, 'node_modules'))
  await symlink(program, join(folder, 'node_modules/rowmill'), 'junction')
  const paths = files.map(([path]) => path)
  if (isJson) terminal.out(json({ folder, files: paths }))
  else terminal.out(`${paths.map((path) => join(relative('', folder), path)).join('\n')}\n\n${next(folder)}`)
  return 0
}

const next = (folder: string) => `Now: rowmill processor test ${relative('', folder) || '.'}\n`

/** The tests of a folder, by the Node that runs this program: another one may be too old for TypeScript. */
async function runTests({ terminal, signal }: CommandContext, folder: string): Promise<ExitCode> {
  if (!existsSync(folder)) throw new UsageError(`There is no folder ${folder}.`)
  const child = spawn(process.execPath, ['--test'], {
    cwd: folder,
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.setEncoding('utf8').on('data', terminal.out)
  child.stderr.setEncoding('utf8').on('data', terminal.err)
  const [code] = await once(child, 'close')
  return code === 0 ? 0 : 1
}
