import type { EffectiveSetting } from '../../platform/config/load.ts'
import { type Command, UsageError } from '../command.ts'
import { colour, json, table } from '../output.ts'

export const configCommand: Command = {
  name: 'config',
  summary: 'Print every setting with its value and where it came from.',
  usage: 'config [part of a setting] [--changed]',
  wordsMax: 1,
  options: { changed: { kind: 'flag', description: 'Only settings that are not at their default.' } },
  async run({ config, options, positionals, terminal, isJson }) {
    if (positionals.length > 1) throw new UsageError('Give one part of a setting, such as capture.')
    const [part = ''] = positionals
    const settings = config().settings.filter(
      (setting) =>
        setting.path.join('.').includes(part) && (options.changed !== true || setting.origin !== 'default'),
    )
    if (isJson) {
      terminal.out(
        json(
          Object.fromEntries(
            settings.map((setting) => [
              setting.path.join('.'),
              { value: shown(setting), origin: setting.origin },
            ]),
          ),
        ),
      )
      return 0
    }
    terminal.out(
      table(terminal, settings, [
        { title: 'setting', value: (setting) => setting.path.join('.') },
        { title: 'value', value: (setting) => JSON.stringify(shown(setting)) ?? 'unset' },
        { title: 'from', value: (setting) => setting.origin },
      ]),
    )
    if (settings.length === 0) terminal.err(colour(terminal, 'dim', 'No setting matches.\n'))
    return 0
  },
}

function shown(setting: EffectiveSetting): unknown {
  return setting.isSecret && setting.value !== undefined ? '***' : setting.value
}
