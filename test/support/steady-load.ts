/**
 * Load that goes on while things break: batches sent again until they are acknowledged, as SDKs do, and what
 * became of every event counted at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Ends with whoever holds it, so that a test that fails ends too. */
export type SteadyLoad = AsyncDisposable & {
  /** Uuids of events that were answered with 200. */
  acknowledged: Set<string>
  /** Uuids of events that were sent, answered or not. */
  sent: Set<string>
  /** How often each status was answered; 0 stands for a connection that broke. */
  answers: Map<number, number>
  /** Answers of a status beside 200 that had no `Retry-After`. */
  withoutRetryAfter: number
  stop: () => Promise<void>
}

export type LoadOptions = {
  token: string
  senders: number
  /** Pause of a sender after an acknowledged batch, in ms. */
  pauseMs?: number
  /** Size of a property that only takes room, in bytes. */
  fillerBytes?: number
}

/**
 * What became of the events: every acknowledged one must have exactly one row. Asks the API of the running
 * program, with its key.
 */
export async function countFates(url: string, apiKey: string, load: SteadyLoad): Promise<Fates> {
  const answer = await fetch(`${url}/api/projects/1/query`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      query: { kind: 'HogQLQuery', query: 'select toString(uuid), count() from events group by uuid' },
    }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`The rows could not be counted: ${answer.status} ${text}`)
  const { results } = JSON.parse(text) as { results: [string, number][] }
  const rows = new Map(results.map(([uuid, count]) => [uuid, Number(count)]))
  return {
    lost: [...load.acknowledged].filter((uuid) => !rows.has(uuid)).length,
    twice: [...rows.values()].filter((count) => count > 1).length,
    unknown: [...rows.keys()].filter((uuid) => !load.sent.has(uuid)).length,
  }
}

export type Fates = { lost: number; twice: number; unknown: number }

/**
 * Sends batches of ten, some of them identifying people, until it is stopped. With several urls a batch that one
 * did not take goes to the next, as a load balancer would have it.
 */
export function startSteadyLoad(url: string | readonly string[], options: LoadOptions): SteadyLoad {
  const urls = [url].flat()
  const filler = 'x'.repeat(options.fillerBytes ?? 0)
  const stop = async (): Promise<void> => {
    isStopped = true
    await running
  }
  const load: SteadyLoad = {
    acknowledged: new Set(),
    sent: new Set(),
    answers: new Map(),
    withoutRetryAfter: 0,
    stop,
    [Symbol.asyncDispose]: stop,
  }
  let isStopped = false
  let index = 0
  const makeEvent = () => {
    const number = index++
    const isIdentify = number % 17 === 0
    return {
      uuid: crypto.randomUUID(),
      event: isIdentify ? '$identify' : `steady ${number % 5}`,
      distinct_id: `user-${number % 40}`,
      properties: isIdentify
        ? { $anon_distinct_id: `anon-${number}`, $set: { last: number } }
        : { number, $set: { seen: number % 3 }, filler },
    }
  }
  let requests = 0
  const post = async (body: string): Promise<number> => {
    try {
      const answer = await fetch(`${urls[requests++ % urls.length]}/batch/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(10_000),
      })
      await answer.text()
      if (answer.status !== 200 && answer.headers.get('retry-after') === null) load.withoutRetryAfter++
      return answer.status
    } catch {
      // The connection broke, or no answer came: nobody knows whether the batch was taken.
      return 0
    }
  }
  /** Whether it was acknowledged before the end. */
  const deliver = async (body: string): Promise<boolean> => {
    while (!isStopped) {
      const status = await post(body)
      load.answers.set(status, (load.answers.get(status) ?? 0) + 1)
      if (status === 200) return true
      await sleep(20)
    }
    return false
  }
  const sender = async (): Promise<void> => {
    while (!isStopped) {
      const batch = Array.from({ length: 10 }, makeEvent)
      for (const { uuid } of batch) load.sent.add(uuid)
      const body = JSON.stringify({ api_key: options.token, batch })
      if (!(await deliver(body))) return
      for (const { uuid } of batch) load.acknowledged.add(uuid)
      if (options.pauseMs !== undefined) await sleep(options.pauseMs)
    }
  }
  const running = Promise.all(Array.from({ length: options.senders }, sender)).then(() => undefined)
  return load
}
