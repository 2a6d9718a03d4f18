import { type TraceStory, trace } from '../../api/trace/trace.ts'
import { joinEngines } from '../../platform/join.ts'
import { type Command, type Terminal, UsageError } from '../command.ts'
import { clean, colour, json } from '../output.ts'

export const traceCommand: Command = {
  name: 'trace',
  summary: 'Tell the story of one event, or of the last events of a person.',
  usage: 'trace <uuid | distinct id> [--limit <n>]',
  wordsMax: 1,
  options: {
    limit: { kind: 'text', placeholder: 'n', description: 'At most this many events (default 10).' },
  },
  async run({ config, options, positionals, terminal, isJson, signal }) {
    const [id, ...more] = positionals
    if (id === undefined || more.length > 0) throw new UsageError('Give one uuid or distinct id.')
    const storiesMax = typeof options.limit === 'string' ? Number(options.limit) : 10
    if (!Number.isInteger(storiesMax) || storiesMax < 1)
      throw new UsageError('--limit takes a number from 1 on.')
    await using engines = await joinEngines(config().config)
    const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
    let stories = isUuid ? await trace(engines, { uuid: id }, { storiesMax, signal }) : []
    if (stories.length === 0) stories = await trace(engines, { distinctId: id }, { storiesMax, signal })
    if (isJson) terminal.out(json(stories))
    else if (stories.length > 0)
      terminal.out(stories.map((story) => describeStory(terminal, story)).join('\n'))
    if (stories.length === 0)
      terminal.err(
        `Nothing is known of ${id}: no row, no drop, no record that waits. It never reached the log here, or retention has removed it.\n`,
      )
    return stories.length === 0 ? 3 : 0
  },
}

const colours = { row: 'green', drop: 'yellow', 'dead-letter': 'red', waiting: 'dim' } as const

function describeStory(terminal: Terminal, story: TraceStory): string {
  const head = `${colour(terminal, 'bold', clean(story.event))} ${clean(story.uuid)} of ${clean(story.distinctId)}: ${colour(terminal, colours[story.ended], story.ended)}\n`
  const steps = story.steps.map((step) => {
    const facts = Object.entries(step.facts).map(
      ([key, value]) => `\n${' '.repeat(40)}${key}: ${clean(value)}`,
    )
    return `  ${clean(step.time).padEnd(27)} ${clean(step.stage).padEnd(10)} ${clean(step.what)}${colour(terminal, 'dim', facts.join(''))}\n`
  })
  return `${head}${steps.join('')}`
}
