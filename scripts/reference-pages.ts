/** The reference pages that are made from the program's own registers. */

import { commonOptions, type OptionSpec } from '../src/cli/command.ts'
import { commands } from '../src/cli/commands.ts'
import { liveOptionRegister } from '../src/datasets/options/live-options.ts'
import { errorRegister } from '../src/errors/register.ts'
import { dropReasons } from '../src/event/drop.ts'
import { configSchema } from '../src/platform/config/config.ts'
import { settingsOf } from '../src/platform/config/settings.ts'
import type { MetricEntry } from '../src/telemetry/register/metric-entry.ts'
import { metricRegister } from '../src/telemetry/register.ts'
import { storagePages } from './storage-pages.ts'

export function referencePages(): Record<string, string> {
  return {
    'docs/reference/config.md': configPage(),
    'docs/reference/errors.md': errorsPage(),
    'docs/reference/metrics.md': metricsPage(),
    'docs/reference/drop-reasons.md': dropReasonsPage(),
    'docs/reference/commands.md': commandsPage(),
    'docs/reference/live-options.md': liveOptionsPage(),
    ...storagePages(),
  }
}

const madeBy = '<!-- Made by "npm run docs" from the program itself. Do not edit. -->\n'

function configPage(): string {
  const rows = settingsOf(configSchema).map((setting) => {
    const value = setting.isSecret
      ? 'a secret'
      : setting.hasDefault
        ? `\`${JSON.stringify(setting.default)}\``
        : 'unset'
    return `| \`${setting.path.join('.')}\` | ${value} | ${cell(setting.description)} | ${setting.environmentNames.map((name) => `\`${name}\``).join(', ')} |`
  })
  return `${madeBy}# Settings

Defaults, then a file (\`--config\`), then the environment, then flags (\`--set path=value\`); the later wins.
\`rowmill config\` prints each value and where it came from. Any variable may be given as \`NAME_FILE\`, which names
a file that holds the value. A setting that does not exist, or contradicts another, is refused at start.

| Setting | Default | What it does | Environment |
|---|---|---|---|
${rows.join('\n')}
`
}

function errorsPage(): string {
  const rows = Object.entries(errorRegister).map(
    ([code, entry]) =>
      `| \`${code}\` | ${entry.status} | ${entry.retry ? 'yes' : 'no'} | ${cell(entry.means)} |`,
  )
  return `${madeBy}# Errors

Every operating error has one of these codes. The status is the HTTP answer where the error ends a request.

| Code | Status | May succeed later | What it means |
|---|---|---|---|
${rows.join('\n')}
`
}

function metricsPage(): string {
  const rows = Object.entries<MetricEntry>(metricRegister).map(
    ([name, entry]) =>
      `| \`${name}\` | ${entry.kind} | ${entry.labels.map((label) => `\`${label}\``).join(', ')} | ${cell(entry.help)} |`,
  )
  return `${madeBy}# Metrics

\`GET /metrics\` answers them in the Prometheus text format. Labels are closed sets: never a team, a token or a
distinct id. Beside them stand those of the process, by prom-client's names: \`process_*\` for memory, CPU and
handles, \`nodejs_*\` for the event loop, the heap and its collections.

| Name | Kind | Labels | What it measures |
|---|---|---|---|
${rows.join('\n')}
`
}

function dropReasonsPage(): string {
  const rows = Object.entries(dropReasons).map(([reason, meaning]) => `| \`${reason}\` | ${cell(meaning)} |`)
  return `${madeBy}# Drop reasons

An event that ends without a row has one row in the table \`drops\`, with one of these reasons.

| Reason | What it means |
|---|---|
${rows.join('\n')}
`
}

function liveOptionsPage(): string {
  const rows = Object.entries(liveOptionRegister).map(
    ([name, { means, example }]) => `| \`${name}\` | ${cell(means)} | \`${cell(example)}\` |`,
  )
  return `${madeBy}# Live options

Options of consumers that take effect while they run. \`rowmill option set <name> <value>\` sets one, for all
storages or with \`--storage\` for one, whose value then wins; \`rowmill option history\` says who changed what.
A value is JSON. A consumer that cannot read the options keeps the last ones.

| Option | What it does | Example |
|---|---|---|
${rows.join('\n')}
`
}

function commandsPage(): string {
  const optionRows = (options: Readonly<Record<string, OptionSpec>>): string =>
    Object.entries(options)
      .filter(([, spec]) => spec.refusal === undefined)
      .map(
        ([name, spec]) =>
          `| \`--${name}${spec.placeholder === undefined ? '' : cell(` <${spec.placeholder}>`)}\` | ${cell(spec.description)} |`,
      )
      .join('\n')
  const sections = commands.map((command) => {
    const own =
      Object.keys(command.options).length === 0
        ? ''
        : `\n| Option | |\n|---|---|\n${optionRows(command.options)}\n`
    return `## ${command.name}\n\n${command.summary}\n\n\`rowmill ${command.usage}\`\n${own}`
  })
  return `${madeBy}# Commands

In a checkout: \`npx rowmill <command>\`. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is no.

Every command takes:

| Option | |
|---|---|
${optionRows(commonOptions)}

${sections.join('\n')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
