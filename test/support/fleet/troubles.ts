/**
 * What is done to a fleet: processes killed and frozen, engines restarted. A plan follows from its seed alone; two
 * hands carry it out side by side, so that one thing breaks while another is not yet mended, and never the same
 * thing twice at a time.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet, FleetMember } from '../fleet-processes.ts'
import { waitFor } from '../wait-for.ts'

export type Trouble = {
  kind: 'kill' | 'freeze' | 'restart'
  /** `ingest 2`, or an engine. */
  victim: string
  /** How long it is gone or frozen. */
  ms: number
  /** Pause of the hand afterwards. */
  restMs: number
}

export type Victims = {
  fleet: Fleet
  members: ReadonlyMap<string, FleetMember>
  /** Hears what was done. */
  tell: (sentence: string) => void
  /** Hears of processes that ended though nobody killed them. They are started again, as a supervisor would. */
  onDeath: (sentence: string) => void
}

type Chance = { next(): number }

const engines = ['kafka', 'postgres', 'redis', 'clickhouse'] as const
type EngineName = (typeof engines)[number]

/** Every kind of trouble, `rounds` times, in an order of chance. A short round has one of each kind only. */
export function planTroubles(
  names: readonly string[],
  { rounds, isLong, random }: { rounds: number; isLong: boolean; random: Chance },
): Trouble[] {
  return Array.from({ length: rounds }, () => shuffle(planRound(names, isLong, random), random)).flat()
}

function planRound(names: readonly string[], isLong: boolean, random: Chance): Trouble[] {
  const between = (least: number, most: number): number => Math.round(least + random.next() * (most - least))
  const oneOf = (role: string): string => {
    const own = names.filter((name) => name.startsWith(`${role} `))
    const chosen = own[Math.floor(random.next() * own.length)]
    assert(chosen !== undefined)
    return chosen
  }
  const trouble = (kind: Trouble['kind'], victim: string, ms: number): Trouble => ({
    ...{ kind, victim, ms },
    restMs: isLong ? between(0, 6000) : between(0, 500),
  })
  const kill = (role: string): Trouble => trouble('kill', oneOf(role), between(0, isLong ? 5000 : 1000))
  const freeze = (victim: string): Trouble => trouble('freeze', victim, between(1000, isLong ? 15_000 : 4000))
  const short = [
    ...['capture', 'ingest', 'datasets'].map(kill),
    freeze(oneOf(random.next() < 0.5 ? 'ingest' : 'datasets')),
    ...engines.map((engine) => trouble('restart', engine, between(0, isLong ? 5000 : 1000))),
  ]
  if (!isLong) return short
  return [
    ...short,
    ...['api', 'ingest', 'datasets'].map(kill),
    ...['capture', 'ingest', 'datasets'].map((role) => freeze(oneOf(role))),
    freeze(engines[Math.floor(random.next() * engines.length)] ?? 'kafka'),
  ]
}

function shuffle(troubles: readonly Trouble[], random: Chance): Trouble[] {
  return troubles
    .map((trouble) => ({ trouble, at: random.next() }))
    .sort((left, right) => left.at - right.at)
    .map(({ trouble }) => trouble)
}

/** Carries out a plan. Resolves when everything is mended and every process says that it is ready. */
export async function makeTrouble(plan: readonly Trouble[], victims: Victims): Promise<void> {
  const waiting = [...plan]
  const busy = new Map<string, Promise<void>>()
  const touched = new Set<string>()
  const hand = async (): Promise<void> => {
    for (let trouble = waiting.shift(); trouble !== undefined; trouble = waiting.shift()) {
      const { victim } = trouble
      const done = (busy.get(victim) ?? Promise.resolve()).then(async () => {
        touched.add(victim)
        await carryOut(trouble, victims)
        touched.delete(victim)
      })
      busy.set(victim, done)
      await done
      await sleep(trouble.restMs)
    }
  }
  const ended = new AbortController()
  const supervising = superviseMembers(victims, touched, ended.signal)
  try {
    await Promise.all([hand(), hand()])
    for (const member of victims.members.values()) await member.ready()
  } finally {
    ended.abort()
    await supervising
  }
}

async function superviseMembers(
  { members, onDeath }: Victims,
  touched: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const [name, member] of members)
      if (!touched.has(name) && member.hasEnded) {
        onDeath(`${name} ended by itself: ${member.printed.slice(-1500)}`)
        member.start()
      }
    await sleep(200)
  }
}

async function carryOut({ kind, victim, ms }: Trouble, { fleet, members, tell }: Victims): Promise<void> {
  const member = members.get(victim)
  const began = performance.now()
  if (member !== undefined) await (kind === 'kill' ? killMember(member, ms) : freezeMember(member, ms))
  else {
    assert(isEngine(victim))
    await (kind === 'restart' ? restartEngine(fleet, victim, ms) : freezeEngine(fleet, victim, ms))
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  tell(`${kind} ${victim} for ${(ms / 1000).toFixed(1)} s, mended after ${seconds} s`)
}

function isEngine(name: string): name is EngineName {
  return engines.some((engine) => engine === name)
}

async function killMember(member: FleetMember, ms: number): Promise<void> {
  await member.end('SIGKILL')
  await sleep(ms)
  member.start()
}

async function freezeMember(member: FleetMember, ms: number): Promise<void> {
  member.signal('SIGSTOP')
  await sleep(ms)
  member.signal('SIGCONT')
}

/** As a power cut would end it. */
async function restartEngine(fleet: Fleet, engine: EngineName, ms: number): Promise<void> {
  const { kafka, postgres, redis, clickhouse } = fleet
  if (engine === 'clickhouse') {
    clickhouse.kill()
    const isUp = async () => (await fetch(`${clickhouse.url}/ping`, { signal: AbortSignal.timeout(2000) })).ok
    await waitFor(isUp, { withinMs: 90_000, what: 'ClickHouse to be back' })
    return
  }
  if (engine === 'kafka') await kafka.stop('SIGKILL')
  if (engine === 'postgres') await postgres.stop('immediate')
  if (engine === 'redis') await redis.kill()
  await sleep(ms)
  await { kafka, postgres, redis }[engine].start()
}

async function freezeEngine(fleet: Fleet, engine: EngineName, ms: number): Promise<void> {
  const frozen = {
    kafka: fleet.kafka,
    postgres: fleet.postgres,
    redis: fleet.redis,
    clickhouse: fleet.clickhouse,
  }[engine]
  frozen.pause()
  await sleep(ms)
  frozen.resume()
}
