import { programVersion } from '../../platform/version.ts'
import type { Command } from '../command.ts'
import { json } from '../output.ts'

export const versionCommand: Command = {
  name: 'version',
  summary: 'Print the version of Rowmill and of the Node it runs on.',
  usage: 'version',
  options: {},
  async run({ terminal, options }) {
    const version = programVersion()
    terminal.out(
      options.json === true
        ? json({ rowmill: version, node: process.version })
        : `rowmill ${version} on node ${process.version}\n`,
    )
    return 0
  },
}
