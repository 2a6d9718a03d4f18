/**
 * People on their way through a product, as SDKs tell of them: visitors without a name who say later who they are,
 * aliases, properties that change, events that are sent twice, and some that must be dropped. Each batch is sent
 * again, to the next capture, until one has acknowledged it. A sender has people of its own and one batch on its way, so
 * what must come of every event and every person is known at the end.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

export type Journeys = AsyncDisposable & {
  /** What must come of each event, by uuid. All of them are acknowledged after `stop`. */
  events: Map<string, 'row' | 'drop'>
  /** Each distinct id and the one whose person it must share in the end. */
  owners: Map<string, string>
  /** What `$set_once` and `$set` must have left on each user. */
  numbers: Map<string, { first: number; last: number }>
  /** How often each status was answered; 0 stands for a connection that broke. */
  answers: Map<number, number>
  /** Refusals that did not say when to come again. */
  withoutRetryAfter: number
  acknowledged: number
  /** Events that were sent once more on purpose, with the same uuid. */
  repeated: number
  /** Resolves when everything that was sent is acknowledged; fails when that takes longer than three minutes. */
  stop(): Promise<void>
}

export type JourneyOptions = {
  token: string
  random: { next(): number }
  senders: number
  /** Pause of a sender after an acknowledged batch. */
  pauseMs: number
}

type Event = {
  uuid: string
  event: string
  distinct_id: string
  timestamp: string
  properties: Record<string, unknown>
}

const batchEvents = 10
const usersOfSender = 20
const visitorsOfSender = 6
const remembered = 200

export function startJourneys(urls: readonly string[], options: JourneyOptions): Journeys {
  const stopping = new AbortController()
  let isOver = false
  const state: Journeys = {
    events: new Map(),
    owners: new Map(),
    numbers: new Map(),
    answers: new Map(),
    withoutRetryAfter: 0,
    acknowledged: 0,
    repeated: 0,
    async stop() {
      stopping.abort()
      await running
    },
    async [Symbol.asyncDispose]() {
      isOver = true
      stopping.abort()
      await Promise.allSettled([running])
    },
  }
  const post = createPost(urls, options.token, state)
  const sender = async (name: number): Promise<void> => {
    const next = createPeople(name, options.random, state)
    while (!stopping.signal.aborted) {
      await deliver(Array.from({ length: batchEvents }, next), post, {
        stopped: stopping.signal,
        isOver: () => isOver,
      })
      state.acknowledged += batchEvents
      await sleep(options.pauseMs)
    }
  }
  const running = Promise.all(Array.from({ length: options.senders }, (_, name) => sender(name))).then(
    () => undefined,
  )
  // Whoever stops hears of a failure; until then it must not end the process.
  running.catch(() => undefined)
  return state
}

type Post = (body: string) => Promise<number>

/** Sends until it is acknowledged, or all is over: then nobody asks any more. */
async function deliver(
  batch: readonly Event[],
  post: Post,
  { stopped, isOver }: { stopped: AbortSignal; isOver: () => boolean },
): Promise<void> {
  const body = JSON.stringify(batch)
  let refusedSinceStop = 0
  while (!isOver()) {
    const status = await post(body)
    if (status === 200) return
    assert(status === 0 || status >= 500, `A capture answered ${status}.`)
    if (stopped.aborted) refusedSinceStop++
    assert(refusedSinceStop < 1800, 'The captures take nothing any more.')
    await sleep(100)
  }
}

function createPost(urls: readonly string[], token: string, state: Journeys): Post {
  let requests = 0
  const ask = async (batch: string): Promise<number> => {
    try {
      const answer = await fetch(`${urls[requests++ % urls.length]}/batch/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{"api_key":${JSON.stringify(token)},"batch":${batch}}`,
        signal: AbortSignal.timeout(5_000),
      })
      await answer.text()
      if (answer.status !== 200 && answer.headers.get('retry-after') === null) state.withoutRetryAfter++
      return answer.status
    } catch {
      // The connection broke, or no answer came: nobody knows whether the batch was taken.
      return 0
    }
  }
  return async (batch) => {
    const status = await ask(batch)
    state.answers.set(status, (state.answers.get(status) ?? 0) + 1)
    return status
  }
}

/** The events of one sender, one after the other. */
function createPeople(sender: number, random: { next(): number }, state: Journeys): () => Event {
  const { owners, events, numbers } = state
  const sent: Event[] = []
  const visitors: string[] = []
  let count = 0
  const below = (limit: number): number => Math.floor(random.next() * limit)
  const known = (id: string, owner = id): string => {
    owners.set(id, owner)
    return id
  }
  const anyUser = (): string => `user-${sender}-${below(usersOfSender)}`
  const user = (): string => known(anyUser())
  const visitor = (): string => {
    while (visitors.length < visitorsOfSender) visitors.push(`visitor-${sender}-${count}-${visitors.length}`)
    return visitors[below(visitorsOfSender)] ?? ''
  }
  const make = (
    event: string,
    id: string,
    properties: Record<string, unknown>,
    fate: 'row' | 'drop' = 'row',
  ) => {
    const made = {
      uuid: crypto.randomUUID(),
      event,
      distinct_id: id,
      timestamp: new Date().toISOString(),
      properties,
    }
    events.set(made.uuid, fate)
    if (sent.length < remembered) sent.push(made)
    else sent[below(remembered)] = made
    return made
  }
  const numbered = (id: string): Record<string, unknown> => {
    numbers.set(id, { first: numbers.get(id)?.first ?? count, last: count })
    return { $set: { last: count }, $set_once: { first: count } }
  }
  const identify = (): Event => {
    const [anonymous, id] = [visitor(), user()]
    visitors.splice(visitors.indexOf(anonymous), 1)
    known(anonymous, id)
    return make('$identify', id, { $anon_distinct_id: anonymous, ...numbered(id) })
  }
  const alias = (): Event => {
    const id = user()
    return make('$create_alias', id, { distinct_id: id, alias: known(`alias-${sender}-${count}`, id) })
  }
  return () => {
    count++
    const chance = random.next()
    if (chance < 0.2) return make('visited', known(visitor()), { count })
    if (chance < 0.32) return identify()
    if (chance < 0.36) return alias()
    if (chance < 0.38) return make('$$client_ingestion_warning', anyUser(), { count }, 'drop')
    if (chance < 0.4) return make('$identify', anyUser(), { $process_person_profile: false }, 'drop')
    const copy = chance < 0.43 ? sent[below(sent.length)] : undefined
    if (copy !== undefined) {
      state.repeated++
      return copy
    }
    const id = user()
    return make(`used ${count % 5}`, id, { count, ...numbered(id) })
  }
}
