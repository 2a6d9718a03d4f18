import { existsSync } from 'node:fs'
import { tryPlugin } from '../../../platform/plugins/try-plugin.ts'
import { settleConfig } from '../../../plugins/manifest.ts'
import { readPlugin } from '../../../plugins/source.ts'
import { type Command, type CommandContext, type ExitCode, UsageError } from '../../command.ts'
import { json } from '../../output.ts'
import { readAttachments, readConfig, readEvents } from './plugin-inputs.ts'
import { describeTrial } from './plugin-text.ts'

export const pluginCommand: Command = {
  name: 'plugin',
  summary: 'Run a plugin over events in the sandbox and show what it changes, before it is deployed.',
  usage: 'plugin test <file | folder> --event <JSON | file | -> [options]',
  wordsMax: 2,
  options: {
    event: {
      kind: 'text',
      placeholder: 'JSON|file|-',
      description: 'An event, a list of events, or one on each line; - reads standard input.',
    },
    'plugin-config': {
      kind: 'text',
      placeholder: 'JSON|file',
      description: "The plugin's config, an object.",
    },
    attachment: {
      kind: 'list',
      placeholder: 'key=file',
      description: 'A file that the plugin finds in meta.attachments; may be repeated.',
    },
    'allow-fetch': {
      kind: 'flag',
      description: 'Let the plugin ask public addresses by fetch; it is refused otherwise.',
    },
  },
  async run(context) {
    const [action, path] = context.positionals
    if (action !== 'test' || path === undefined) throw new UsageError('Say test and a file or a folder.')
    return await test(context, path)
  },
}

async function test(context: CommandContext, path: string): Promise<ExitCode> {
  const { options, terminal, isJson, signal } = context
  if (!existsSync(path)) throw new UsageError(`There is no file ${path}.`)
  const events = await readEvents(options.event)
  const attachments = await readAttachments(options.attachment)
  const given = await readConfig(options['plugin-config'])
  const source = await readPlugin(path)
  const fields = source.manifest?.fields ?? []
  const { config, problems, strangers } = settleConfig(fields, given, new Set(Object.keys(attachments)))
  if (problems.length > 0) throw new UsageError(problems.join('\n'))
  if (source.manifest !== undefined)
    for (const key of strangers) terminal.err(`plugin.json has no config key ${key}.\n`)
  const report = await tryPlugin(context.config().config, {
    source,
    events,
    config,
    attachments,
    isFetchAllowed: options['allow-fetch'] === true,
    signal,
  })
  terminal.out(isJson ? json(report) : describeTrial(terminal, report))
  const hasFailed = [report.setup, ...report.events].some(({ failure }) => failure !== undefined)
  return hasFailed ? 1 : 0
}
