/** A plugin's trial as lines for its author. */
import type { Change } from '../../../plugins/compare-events.ts'
import type { EventReport, PluginFailure, StepReport, TrialReport } from '../../../plugins/plugins.ts'
import type { PluginRequest } from '../../../plugins/requests.ts'
import type { Terminal } from '../../command.ts'
import { clean, colour } from '../../output.ts'

const shownMax = 2000

export function describeTrial(terminal: Terminal, { plugin, setup, events }: TrialReport): string {
  const head =
    setup.failure === undefined ? [] : [colour(terminal, 'red', 'The setup failed; no event was run.')]
  const lines = [...head, ...stepLines(terminal, setup, plugin)]
  const blocks = events.map((report, at) => eventLines(terminal, report, { at: at + 1, plugin }))
  const setupBlock =
    lines.length === 0 ? [] : [[`${colour(terminal, 'bold', 'setup')}${cost(setup)}`, ...lines]]
  const parts = [...setupBlock, ...blocks].map((block) => `${block.join('\n')}\n`)
  return `${parts.join('\n')}${events.length > 1 ? `\n${summary(events)}` : ''}`
}

function eventLines(
  terminal: Terminal,
  report: EventReport,
  { at, plugin }: { at: number; plugin: string },
): string[] {
  const { event, outcome, changes } = report
  const hue = outcome === 'failed' ? 'red' : outcome === 'dropped' ? 'yellow' : 'bold'
  return [
    `${at}. ${clean(event)}: ${colour(terminal, hue, outcome)}${cost(report)}`,
    ...changes.map((change) => changeLine(terminal, change)),
    ...stepLines(terminal, report, plugin),
  ]
}

function changeLine(terminal: Terminal, change: Change): string {
  const path = clean(change.path)
  if (change.kind === 'added') return `  + ${path}  ${shown(change.after)}`
  if (change.kind === 'removed') return colour(terminal, 'red', `  - ${path}  ${shown(change.before)}`)
  return colour(terminal, 'yellow', `  ~ ${path}  ${shown(change.before)} → ${shown(change.after)}`)
}

function stepLines(
  terminal: Terminal,
  { failure, logs, linesLost, requests }: StepReport,
  plugin: string,
): string[] {
  return [
    ...(failure === undefined ? [] : [colour(terminal, 'red', `  error  ${failureText(failure, plugin)}`)]),
    ...logs.map(({ level, text }) => `  ${level.padEnd(5)}  ${clean(text)}`),
    ...(linesLost === 0 ? [] : [`  ${linesLost} more lines were printed than may be.`]),
    ...requests.map((request) => `  ${clean(requestText(request))}`),
  ]
}

function failureText({ kind, name, message, place }: PluginFailure, plugin: string): string {
  const what = kind === 'thrown' || kind === 'setup' ? `${name}: ${message}` : `${kind}: ${message}`
  return clean(place === undefined ? what : `${what}  (${plugin}:${place.line}: ${place.text})`)
}

function requestText(request: PluginRequest): string {
  if (request.kind === 'job') return `job    ${request.name}(${shown(request.payload)}) ${request.when}`
  if (request.kind === 'metric') return `metric ${request.name} ${request.operation} ${request.value}`
  if (request.kind === 'capture') return `event  ${request.event} ${shown(request.properties)}`
  if (request.kind === 'fetch') return `fetch  ${request.method} ${request.url}: ${request.answer}`
  if (request.kind === 'setup') return 'setup  ran again, in a new heap: meta.global was lost'
  return `geoip  ${request.ip}${request.hasDatabase ? '' : ': there is no database; set ingest.geoip.file'}`
}

function cost({ cpuMs, wallMs }: StepReport): string {
  return `  (${cpuMs.toFixed(1)} ms of processor time, ${wallMs.toFixed(1)} ms)`
}

function summary(events: readonly EventReport[]): string {
  const counts = Map.groupBy(events, ({ outcome }) => outcome)
  return `${events.length} events: ${[...counts].map(([outcome, { length }]) => `${length} ${outcome}`).join(', ')}.\n`
}

function shown(value: unknown): string {
  const text = clean(JSON.stringify(value) ?? 'undefined')
  return text.length > shownMax ? `${text.slice(0, shownMax)} … (--json prints all)` : text
}
