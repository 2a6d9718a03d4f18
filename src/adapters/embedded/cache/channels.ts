import type { Logger } from '../../../telemetry/logger.ts'

/** Messages between the parts of this process. A reader that lags by more than `messagesMax` misses the oldest. */
export interface Channels {
  publish(channel: string, message: string): void
  subscribe(channel: string, signal: AbortSignal): AsyncIterable<string>
}

type Subscriber = { pending: string[]; arrived: PromiseWithResolvers<void> }

export function createChannels(logger: Logger, messagesMax: number): Channels {
  const subscribers = new Map<string, Set<Subscriber>>()

  const leave = (channel: string, subscriber: Subscriber): void => {
    const others = subscribers.get(channel)
    others?.delete(subscriber)
    if (others?.size === 0) subscribers.delete(channel)
    subscriber.arrived.resolve()
  }

  return {
    publish(channel, message) {
      for (const subscriber of subscribers.get(channel) ?? []) {
        if (subscriber.pending.length >= messagesMax) {
          subscriber.pending.shift()
          logger.warn({ channel }, 'A subscriber of the cache lags; its oldest message was forgotten.')
        }
        subscriber.pending.push(message)
        subscriber.arrived.resolve()
      }
    },
    /** The subscription begins with the call, not with the first read. */
    subscribe(channel, signal) {
      const subscriber: Subscriber = { pending: [], arrived: Promise.withResolvers() }
      const onAbort = () => leave(channel, subscriber)
      if (!signal.aborted) {
        const others = subscribers.get(channel) ?? new Set()
        subscribers.set(channel, others.add(subscriber))
        signal.addEventListener('abort', onAbort, { once: true })
      }
      return read(subscriber, signal, () => {
        signal.removeEventListener('abort', onAbort)
        leave(channel, subscriber)
      })
    },
  }
}

async function* read(
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
