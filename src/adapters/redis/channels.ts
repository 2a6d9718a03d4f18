/**
 * Messages between programs. One connection serves all subscribers of this process. It is opened by the first of
 * them; when it is lost it is opened again, on the next node of a cluster, and
 * subscribes anew. Messages of the time in between are missed, as Redis keeps none. A connection that waits
 * would not notice that the other side has gone, so it is tried from time to time.
 */
import type { Redis } from 'ioredis'
import { retryDelay } from '../../std/retry.ts'
import type { RedisConfig } from './config.ts'
import type { RedisConnections, RedisContext } from './connect.ts'
import { decodeText, encodeText } from './text.ts'

export interface Channels extends AsyncDisposable {
  /** The subscription begins with the call, not with the first read. */
  subscribe(channel: string, signal: AbortSignal): AsyncIterable<string>
  /** Resolves when Redis knows of all subscriptions made so far, or cannot be asked now. */
  settled(): Promise<void>
}

type Subscriber = { pending: string[]; arrived: PromiseWithResolvers<void> }

export function createChannels(
  context: RedisContext,
  config: RedisConfig,
  connections: Pick<RedisConnections, 'createSingle' | 'nodes'>,
): Channels {
  return new RedisChannels(context, config, connections)
}

class RedisChannels implements Channels {
  readonly #context: RedisContext
  readonly #config: RedisConfig
  readonly #connections: Pick<RedisConnections, 'createSingle' | 'nodes'>
  readonly #subscribers = new Map<string, Set<Subscriber>>()
  readonly #asking = new Set<Promise<void>>()
  #single: Redis | undefined
  #running: Promise<void> | undefined
  readonly #stop = new AbortController()
  #attempts = 0

  constructor(
    context: RedisContext,
    config: RedisConfig,
    connections: Pick<RedisConnections, 'createSingle' | 'nodes'>,
  ) {
    this.#context = context
    this.#config = config
    this.#connections = connections
  }

  subscribe(channel: string, signal: AbortSignal): AsyncIterable<string> {
    const subscriber: Subscriber = { pending: [], arrived: Promise.withResolvers() }
    const until = AbortSignal.any([signal, this.#stop.signal])
    if (until.aborted) return readMessages(subscriber, until, () => {})
    const others = this.#subscribers.get(channel)
    if (others !== undefined) others.add(subscriber)
    else {
      this.#subscribers.set(channel, new Set([subscriber]))
      if (this.#single !== undefined) this.#ask(this.#single.subscribe(encodeText(channel)))
    }
    this.#running ??= this.#run()
    const close = () => {
      until.removeEventListener('abort', close)
      this.#leave(channel, subscriber)
    }
    until.addEventListener('abort', close, { once: true })
    return readMessages(subscriber, until, close)
  }

  async settled(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  #leave(channel: string, subscriber: Subscriber): void {
    const others = this.#subscribers.get(channel)
    others?.delete(subscriber)
    subscriber.arrived.resolve()
    if (others?.size !== 0) return
    this.#subscribers.delete(channel)
    if (this.#single !== undefined) this.#ask(this.#single.unsubscribe(encodeText(channel)))
  }

  /** A failure ends the connection, and the next one subscribes to all that there is. */
  #ask(answer: Promise<unknown>): void {
    const asking = answer
      .then(
        () => {},
        (error: unknown) => {
          this.#context.logger.debug({ error }, 'a subscription failed, the connection is opened again')
          this.#single?.disconnect()
        },
      )
      .finally(() => this.#asking.delete(asking))
    this.#asking.add(asking)
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#context
    const { reconnectDelayMs: delayMs, reconnectDelayMaxMs: delayMaxMs } = this.#config
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#serve(signal)
      this.#attempts++
      if (signal.aborted) break
      const policy = { attemptsMax: 1, delayMs, delayMaxMs }
      await clock.sleep(retryDelay(policy, this.#attempts, random.next()), { signal })
    }
  }

  /** One connection's life. */
  async #serve(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#context
    const nodes = this.#connections.nodes()
    const node = nodes[this.#attempts % nodes.length]
    if (node === undefined) return
    const single = this.#connections.createSingle(node)
    const ended = new AbortController()
    single.on('error', (error: Error) => logger.debug({ error }, 'the connection for messages failed'))
    single.on('end', () => ended.abort())
    single.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#deliver(channel, message))
    this.#single = undefined
    try {
      const opening = this.#open(single)
      this.#ask(opening)
      await opening
      this.#attempts = 0
      const until = AbortSignal.any([signal, ended.signal])
      while (!until.aborted) {
        await clock.sleep(this.#config.pingIntervalMs, { signal: until })
        if (!until.aborted) await single.ping()
      }
    } catch (error) {
      logger.debug({ error }, 'the connection for messages is opened again')
    } finally {
      this.#single = undefined
      single.disconnect()
    }
  }

  async #open(single: Redis): Promise<void> {
    await single.connect()
    this.#single = single
    const channels = [...this.#subscribers.keys()].map(encodeText)
    if (channels.length > 0) await single.subscribe(...channels)
  }

  #deliver(channel: Buffer, message: Buffer): void {
    const name = decodeText(channel)
    for (const subscriber of this.#subscribers.get(name) ?? []) {
      if (subscriber.pending.length >= this.#config.messagesMax) {
        subscriber.pending.shift()
        this.#context.logger.warn(
          { channel: name },
          'A subscriber of the cache lags; its oldest message was forgotten.',
        )
      }
      subscriber.pending.push(decodeText(message))
      subscriber.arrived.resolve()
    }
  }
}

async function* readMessages(
  subscriber: Subscriber,
  signal: AbortSignal,
  close: () => void,
): AsyncGenerator<string, void, undefined> {
  try {
    while (!signal.aborted) {
      const message = subscriber.pending.shift()
      if (message !== undefined) {
        yield message
        continue
      }
      await subscriber.arrived.promise
      subscriber.arrived = Promise.withResolvers()
    }
  } finally {
    close()
  }
}
