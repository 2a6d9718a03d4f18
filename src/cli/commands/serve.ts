import { roleNames } from '../../platform/roles.ts'
import { serve } from '../../platform/serve.ts'
import type { Command } from '../command.ts'
import { colour, json } from '../output.ts'

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Run Rowmill: capture, ingest, datasets and the API.',
  usage: 'serve [--roles <names>] [--host <address>] [--port <n>] [--testing] [--list]',
  options: {
    roles: { kind: 'text', placeholder: 'names', description: 'Only these roles, separated by commas.' },
    host: {
      kind: 'text',
      placeholder: 'address',
      description: 'Listen on this address (default 127.0.0.1).',
    },
    port: { kind: 'text', placeholder: 'n', description: 'Listen on this port (default 8000).' },
    testing: {
      kind: 'flag',
      description: 'Answer the routes under /tests/, which write and delete rows without a key.',
    },
    list: { kind: 'flag', description: 'List the roles and end.' },
  },
  async run({ config, options, terminal, signal, abandon, tellStopLimit }) {
    if (options.list === true) {
      const roles = Object.entries(roleNames)
      terminal.out(
        options.json === true
          ? json(roleNames)
          : roles.map(([name, what]) => `${name.padEnd(10)} ${what}\n`).join(''),
      )
      return 0
    }
    const settings = options.testing === true ? { 'consumer.testing.isEnabled': 'true' } : {}
    const settled = config(settings).config
    tellStopLimit(settled.shutdownMs)
    await serve(settled, {
      signal,
      abort: abandon,
      onReady: (ready) => {
        const line = (label: string, value: string): string => `  ${label.padEnd(14)} ${value}\n`
        terminal.out(
          [
            `\nRowmill is ready after ${(ready.startMs / 1000).toFixed(1)} s at ${colour(terminal, 'bold', ready.url)}\n`,
            ...(ready.project === undefined ? [] : [line('project token', ready.project.apiToken)]),
            ready.newApiKey === undefined
              ? line('API key', 'kept from before; "rowmill keys create <label>" makes another')
              : line('API key', `${ready.newApiKey}   (shown this once)`),
            line('data', ready.dataDir),
            '\n',
          ].join(''),
        )
      },
    })
    return 0
  },
}
