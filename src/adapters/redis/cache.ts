/**
 * The Cache port on Redis, with the keys and the kinds of values that PostHog's services use there: texts are
 * Redis strings, counters are decimal strings, sets are sets, sorted sets are sorted sets. Where PostHog keeps
 * bytes, they are base64 at the port (`text.ts`).
 *
 * Each operation is one command, or one script where it takes several, so all are atomic. In a cluster an
 * operation on several keys (`getMany`, `delete`) asks once per slot, and is atomic per slot only. An operation
 * that has no answer after `responseTimeoutMs` fails with `CACHE_UNAVAILABLE`, whatever the library is doing;
 * Redis may have done it all the same.
 *
 * `keep` asks for nothing more: what Redis answers is as durable as its append-only file makes it. With
 * `appendfsync always` that is before the answer, with `everysec` up to a second or two later. The start tells
 * when there is no such file.
 *
 * Locks lie apart from the other keys, under `@rowmill/lock/`, each with its holder's token. Redis alone gives no
 * more: after a failover two may believe that they hold one, until the first asks again.
 */
import assert from 'node:assert/strict'
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache, CacheLock, CacheWrite, ScoredMember } from '../../ports/cache.ts'
import { type Channels, createChannels } from './channels.ts'
import type { RedisConfig } from './config.ts'
import { connectRedis, type RedisClient, type RedisContext } from './connect.ts'
import { failureOf } from './failures.ts'
import {
  extendScript,
  incrementScript,
  publishScript,
  releaseScript,
  setAddScript,
  sortedAddScript,
} from './scripts.ts'
import { groupBySlot } from './slots.ts'
import { decodeText, decodeValue, encodeText, encodeValue } from './text.ts'

type Argument = string | number | Buffer

const late = Symbol('late')

/**
 * Resolves when Redis has answered. Fails with `CONFIG_INVALID`, in a sentence that names the setting, for what
 * cannot work, and with `CACHE_UNAVAILABLE` after `startTimeoutMs` without Redis.
 */
export async function openRedisCache(context: RedisContext, config: RedisConfig): Promise<Cache> {
  const connections = await connectRedis(context, config)
  return new RedisCache(context, config, {
    client: connections.client,
    channels: createChannels(context, config, connections),
  })
}

class RedisCache implements Cache {
  readonly #context: RedisContext
  readonly #config: RedisConfig
  readonly #client: RedisClient
  readonly #channels: Channels
  readonly #closing = new AbortController()
  #operations = 0
  #bound: { fromMs: number; passed: Promise<typeof late> } | undefined

  constructor(
    context: RedisContext,
    config: RedisConfig,
    { client, channels }: { client: RedisClient; channels: Channels },
  ) {
    this.#context = context
    this.#config = config
    this.#client = client
    this.#channels = channels
  }

  async get(key: string): Promise<string | undefined> {
    return readValue(key, await this.#ask('GET', this.#key(key)))
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const values: (string | undefined)[] = keys.map(() => undefined)
    await this.#perSlot(keys, async (places, names) => {
      const found = await this.#ask('MGET', ...names)
      assert(Array.isArray(found))
      for (const [index, place] of places.entries())
        values[place] = readValue(keys[place] ?? '', found[index])
    })
    return values
  }

  async set(key: string, value: string, options: CacheWrite & { ifAbsent?: boolean } = {}): Promise<boolean> {
    const expiry = options.ttlMs === undefined ? [] : ['PX', Math.max(1, Math.ceil(options.ttlMs))]
    const condition = options.ifAbsent === true ? ['NX'] : []
    const answer = await this.#ask('SET', this.#key(key), encodeValue(key, value), ...expiry, ...condition)
    return answer !== null
  }

  async delete(...keys: string[]): Promise<number> {
    let deleted = 0
    await this.#perSlot(keys, async (_, names) => {
      const count = countOf(await this.#ask('DEL', ...names))
      deleted += count
    })
    return deleted
  }

  async increment(key: string, by = 1, options: CacheWrite = {}): Promise<number> {
    return await this.#run(incrementScript, key, [ttlOf(options), by])
  }

  async expire(key: string, ttlMs: number): Promise<boolean> {
    return countOf(await this.#ask('PEXPIRE', this.#key(key), Math.max(0, Math.ceil(ttlMs)))) === 1
  }

  async setAdd(key: string, members: readonly string[], options: CacheWrite = {}): Promise<number> {
    if (members.length === 0) return 0
    return await this.#run(setAddScript, key, [ttlOf(options), ...members.map(encodeText)])
  }

  async setRemove(key: string, members: readonly string[]): Promise<number> {
    if (members.length === 0) return 0
    return countOf(await this.#ask('SREM', this.#key(key), ...members.map(encodeText)))
  }

  async setMembers(key: string): Promise<string[]> {
    return textsOf(await this.#ask('SMEMBERS', this.#key(key)))
  }

  async setSize(key: string): Promise<number> {
    return countOf(await this.#ask('SCARD', this.#key(key)))
  }

  async sortedAdd(key: string, members: readonly ScoredMember[], options: CacheWrite = {}): Promise<number> {
    const pairs = members.flatMap(({ member, score }) => {
      assert(Number.isFinite(score), 'A score is a finite number.')
      return [score, encodeText(member)]
    })
    if (pairs.length === 0) return 0
    return await this.#run(sortedAddScript, key, [ttlOf(options), ...pairs])
  }

  async sortedRemove(key: string, members: readonly string[]): Promise<number> {
    if (members.length === 0) return 0
    return countOf(await this.#ask('ZREM', this.#key(key), ...members.map(encodeText)))
  }

  async sortedRange(key: string, from: number, to: number): Promise<ScoredMember[]> {
    const bounds = [boundOf(from), boundOf(to)]
    const flat = textsOf(await this.#ask('ZRANGEBYSCORE', this.#key(key), ...bounds, 'WITHSCORES'))
    const members: ScoredMember[] = []
    for (let at = 0; at + 1 < flat.length; at += 2)
      members.push({ member: flat[at] ?? '', score: Number(flat[at + 1]) })
    return members
  }

  async lock(key: string, ttlMs: number): Promise<CacheLock | undefined> {
    const name = `@rowmill/lock/${key}`
    const token = this.#context.random.bytes(16).toString('hex')
    const holdMs = (ms: number) => Math.max(1, Math.ceil(ms))
    const taken = await this.#ask('SET', this.#key(name), token, 'PX', holdMs(ttlMs), 'NX')
    if (taken === null) return undefined
    let isHeld = true
    return {
      extend: async (byMs) => isHeld && (await this.#run(extendScript, name, [token, holdMs(byMs)])) === 1,
      [Symbol.asyncDispose]: async () => {
        if (!isHeld) return
        isHeld = false
        try {
          await this.#run(releaseScript, name, [token])
        } catch (error) {
          // Its time to live ends it.
          this.#context.logger.debug({ error }, 'a lock could not be released and ends by itself')
        }
      },
    }
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.#within(async () => {
      // Whoever has subscribed in this process before shall see the message.
      await this.#channels.settled()
      const [name, text] = [this.#key(channel), encodeText(message)]
      return this.#config.isCluster
        ? await this.#client.callBuffer('EVAL', [publishScript, 1, name, text])
        : await this.#client.callBuffer('PUBLISH', [name, text])
    })
  }

  subscribe(channel: string, options: { signal: AbortSignal }): AsyncIterable<string> {
    return this.#channels.subscribe(this.#config.keyPrefix + channel, options.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    await this.#channels[Symbol.asyncDispose]()
    this.#client.disconnect()
  }

  #key(key: string): Buffer {
    return encodeText(this.#config.keyPrefix + key)
  }

  async #run(script: string, key: string, args: readonly Argument[]): Promise<number> {
    return countOf(await this.#ask('EVAL', script, 1, this.#key(key), ...args))
  }

  #ask(command: string, ...args: Argument[]): Promise<unknown> {
    return this.#within(() => this.#client.callBuffer(command, args))
  }

  /** One call with all keys, or in a cluster one for each slot, at the same time. */
  async #perSlot(
    keys: readonly string[],
    call: (places: readonly number[], names: readonly Buffer[]) => Promise<void>,
  ): Promise<void> {
    if (keys.length === 0) return
    const names = keys.map((key) => this.#key(key))
    const groups = this.#config.isCluster ? groupBySlot(names) : [[...names.keys()]]
    await Promise.all(
      groups.map((places) =>
        call(
          places,
          places.flatMap((place) => names[place] ?? []),
        ),
      ),
    )
  }

  /** What has no answer in time is unavailable, also where the library would still try. */
  async #within<T>(call: () => Promise<T>): Promise<T> {
    const { operationsMax, responseTimeoutMs } = this.#config
    if (this.#closing.signal.aborted)
      throw new RowmillError('CACHE_UNAVAILABLE', 'The cache has been closed.')
    if (this.#operations >= operationsMax)
      throw new RowmillError(
        'CACHE_UNAVAILABLE',
        `${operationsMax} operations wait for Redis already (redis.operationsMax).`,
      )
    this.#operations++
    try {
      const answer = await Promise.race([call(), this.#late()])
      if (answer !== late) return answer
      throw new RowmillError('CACHE_UNAVAILABLE', `Redis did not answer within ${responseTimeoutMs} ms.`)
    } catch (error) {
      const failure = failureOf(error)
      if (isRowmillError(failure, 'CACHE_UNAVAILABLE')) this.#context.metrics.count('cache_failures_total')
      throw failure
    } finally {
      this.#operations--
    }
  }

  /** Operations that begin at about the same time share a timer, so a bound may be a tenth longer. */
  #late(): Promise<typeof late> {
    const { clock } = this.#context
    const slackMs = this.#config.responseTimeoutMs / 10
    const nowMs = clock.monotonic()
    if (this.#bound === undefined || nowMs - this.#bound.fromMs > slackMs) {
      const { signal } = this.#closing
      const passed = clock.sleep(this.#config.responseTimeoutMs + slackMs, { signal })
      this.#bound = { fromMs: nowMs, passed: passed.then(() => late) }
    }
    return this.#bound.passed
  }
}

function readValue(key: string, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  assert(Buffer.isBuffer(value), 'Redis answers a text.')
  return decodeValue(key, value)
}

function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  assert(Buffer.isBuffer(value), 'Redis answers a text.')
  return decodeText(value)
}

function textsOf(value: unknown): string[] {
  assert(Array.isArray(value), 'Redis answers a list.')
  return value.map((item) => textOf(item) ?? '')
}

function countOf(value: unknown): number {
  const count = Buffer.isBuffer(value) ? Number(value.toString()) : value
  assert(typeof count === 'number' && Number.isSafeInteger(count), 'Redis answers a number.')
  return count
}

function ttlOf({ ttlMs }: CacheWrite): Argument {
  return ttlMs === undefined ? '' : Math.max(1, Math.ceil(ttlMs))
}

function boundOf(score: number): string {
  if (score === Number.POSITIVE_INFINITY) return '+inf'
  return score === Number.NEGATIVE_INFINITY ? '-inf' : String(score)
}
