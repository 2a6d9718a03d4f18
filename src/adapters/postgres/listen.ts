import { isRetryable } from '../../errors/rowmill-error.ts'
import { retryDelay } from '../../std/retry.ts'
import type { HeldContext } from './advisory-lock.ts'
import { openConnection } from './connection.ts'

const reconnectDelays = { attemptsMax: Number.POSITIVE_INFINITY, delayMs: 50, delayMaxMs: 2000 }

/**
 * Payloads of a channel, over a connection of its own that is made again when it breaks. What was sent in
 * between is missed; a reader that lags by more than `notificationsMax` misses the oldest.
 */
export async function* listenTo(
  context: HeldContext,
  options: { channel: string; signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  const { clock, random, logger, closing } = context
  const ended = AbortSignal.any([options.signal, closing])
  const abort = Promise.withResolvers<void>()
  const onAbort = () => abort.resolve()
  ended.addEventListener('abort', onAbort, { once: true })
  try {
    for (let attempt = 1; !ended.aborted; attempt++) {
      try {
        for await (const payload of listenOnce(context, { ...options, ended, abort: abort.promise })) {
          attempt = 1
          yield payload
        }
      } catch (error) {
        if (!isRetryable(error)) throw error
        logger.warn(
          { error, channel: options.channel },
          'Listening to PostgreSQL broke off and is begun again.',
        )
      }
      await clock.sleep(retryDelay(reconnectDelays, attempt, random.next()), { signal: ended })
    }
  } finally {
    ended.removeEventListener('abort', onAbort)
  }
}

/** Ends when the connection breaks or `ended` aborts. */
async function* listenOnce(
  context: HeldContext,
  options: { channel: string; ended: AbortSignal; abort: Promise<void> },
): AsyncGenerator<string, void, undefined> {
  const { config, endpoint, logger } = context
  await using connection = await openConnection(context, endpoint)
  const { client } = connection
  const pending: string[] = []
  let arrived = Promise.withResolvers<void>()
  let isLost = false
  client.on('notification', (message) => {
    if (message.channel !== options.channel) return
    if (pending.length >= config.notificationsMax) {
      pending.shift()
      logger.warn({ channel: options.channel }, 'A listener lags; its oldest notification was forgotten.')
    }
    pending.push(message.payload ?? '')
    arrived.resolve()
  })
  const lost = connection.lost.then(() => {
    isLost = true
  })
  await connection.query(`listen ${client.escapeIdentifier(options.channel)}`)
  while (!options.ended.aborted) {
    const payload = pending.shift()
    if (payload !== undefined) {
      yield payload
      continue
    }
    if (isLost) return
    arrived = Promise.withResolvers()
    await Promise.race([arrived.promise, lost, options.abort])
  }
}
