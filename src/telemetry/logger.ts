import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino'

export type { Logger }

/**
 * Structured logs. A message is a constant sentence; values are fields; an error goes into the field
 * `error` and is printed with its chain of causes. Levels: `error` someone must act, `warn` will become an
 * error if it persists, `info` start, stop and changes of ownership, `debug` per batch, nothing per event.
 * Secrets and event properties are never logged.
 */
export function createLogger(options: { level: string; destination?: DestinationStream }): Logger {
  const settings = { level: options.level, base: null, serializers: { error: stdSerializers.errWithCause } }
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination)
}
