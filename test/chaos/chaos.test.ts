/**
 * A fleet under load while things are killed, frozen and started again: capture twice, ingest three times, datasets
 * twice and one api, on a Kafka with 12 partitions. Afterwards every acknowledged event has exactly one row or
 * one drop, every person is whole, and the audit balances.
 *
 * ROWMILL_CHAOS_ROUNDS is how often every kind of trouble comes: without it one short round. ROWMILL_CHAOS_SEED
 * repeats a run's choices. `npm run test:chaos` is the long run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findFaults } from '../support/fleet/fates.ts'
import { startJourneys } from '../support/fleet/journeys.ts'
import { makeTrouble, planTroubles } from '../support/fleet/troubles.ts'
import { type Fleet, type FleetMember, noFleet, openFleet } from '../support/fleet-processes.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { waitFor } from '../support/wait-for.ts'

const rounds = Number(process.env.ROWMILL_CHAOS_ROUNDS ?? 1)
const isLong = process.env.ROWMILL_CHAOS_ROUNDS !== undefined
const seed = Number(process.env.ROWMILL_CHAOS_SEED ?? Math.floor(Date.now() % 1_000_000))
const roles = { capture: 2, ingest: 3, datasets: 2, api: 1 }

const environment = {
  ROWMILL_LOG_CAPTURED_PARTITIONS: '12',
  ROWMILL_LOG_READY_PARTITIONS: '4',
  // Killed consumers are missed sooner, and some that are frozen lose what they hold.
  ROWMILL_KAFKA_SESSION_TIMEOUT_MS: '6000',
  ROWMILL_KAFKA_APPEND_TIMEOUT_MS: '4000',
  // Nobody starts a process again that did not want to wait for the broker any longer.
  ROWMILL_START_WAIT_MS: '180000',
}

/** Every other process has a name that outlives its restart, as operators may have it either way. */
async function startMembers(fleet: Fleet): Promise<Map<string, FleetMember>> {
  const names = Object.entries(roles).flatMap(([role, count]) =>
    Array.from({ length: count }, (_, index) => ({ role, number: index + 1 })),
  )
  const started = names.map(async ({ role, number }) => {
    const instance: Record<string, string> =
      number % 2 === 1 ? { ROWMILL_KAFKA_INSTANCE_ID: `${role}-${number}` } : {}
    return [`${role} ${number}`, await fleet.start(role, { environment: instance })] as const
  })
  return new Map(await Promise.all(started))
}

/** What the audit complains of, without its table of stages. */
function summarise(report: string): string {
  const { problems, waiting, captured, rows } = JSON.parse(report === '' ? '{}' : report)
  return JSON.stringify({ problems, waiting, captured, rows })
}

test(`a fleet loses and doubles nothing while everything in it breaks (seed ${seed})`, {
  skip: noFleet,
  timeout: 7_200_000,
}, async (context) => {
  const random = createSeededRandom(seed)
  await using fleet = await openFleet({ isOwn: true, environment })
  const members = await startMembers(fleet)
  const tell = (sentence: string) => {
    context.diagnostic(sentence)
    if (isLong) process.stdout.write(`${new Date().toISOString()} ${sentence}\n`)
  }
  const plan = planTroubles([...members.keys()], { rounds, isLong, random })
  const urls = [...members].flatMap(([name, { url }]) => (name.startsWith('capture') ? [url] : []))
  const load = { token: fleet.token, random: createSeededRandom(seed + 1), senders: 3, pauseMs: 40 }
  await using journeys = startJourneys(urls, load)
  await waitFor(() => journeys.acknowledged > 200, { withinMs: 60_000, what: 'the first events' })
  try {
    const deaths: string[] = []
    await makeTrouble(plan, { fleet, members, tell, onDeath: (sentence) => deaths.push(sentence) })
    const before = journeys.acknowledged
    const more = () => journeys.acknowledged > before + 200
    await waitFor(more, { withinMs: 60_000, what: 'events after it all' })
    await journeys.stop()
    const { code, out, err } = await fleet.command('audit', '--json', '--wait', '120')
    tell(
      `${journeys.events.size} events, ${journeys.acknowledged} acknowledged, ${journeys.repeated} sent twice`,
    )
    tell(`${plan.length} troubles, answers ${JSON.stringify([...journeys.answers])}`)
    const faults = await findFaults(fleet, journeys)
    if (code !== 0) faults.unshift(`the audit ended with ${code}: ${summarise(out)} ${err}`)
    assert.deepEqual(faults, [])
    assert.equal(journeys.withoutRetryAfter, 0)
    assert.deepEqual(deaths, [])
  } catch (error) {
    for (const [name, { printed }] of members) tell(`${name} printed: ${printed.slice(-3000)}`)
    throw error
  }
})
