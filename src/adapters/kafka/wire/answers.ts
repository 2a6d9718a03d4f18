/**
 * One request and its answer. Answers carry an error code per part; what is thrown is only that there was no
 * answer. What the client throws is never passed on as it is: its errors hold whole answers, with records.
 */
import {
  type API,
  type Connection,
  protocolErrors,
  protocolErrorsCodesById,
  ResponseError,
} from '@platformatic/kafka'

/** Kafka's name of an error, `DISCONNECTED` where there was no answer. */
export class KafkaFailure extends Error {
  override readonly name = 'KafkaFailure'
  readonly code: string

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: plainCause(options.cause) })
    this.code = code
  }

  /** Whether the same request may succeed later. */
  get isRetryable(): boolean {
    return retryable.has(this.code)
  }

  /** Whether what is known of the leaders or coordinators is out of date. */
  get isMisdirected(): boolean {
    return misdirected.has(this.code)
  }
}

const misdirected: ReadonlySet<string> = new Set([
  'BROKER_NOT_AVAILABLE',
  'COORDINATOR_NOT_AVAILABLE',
  'DISCONNECTED',
  'FENCED_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'LEADER_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'NOT_CONTROLLER',
  'NOT_COORDINATOR',
  'NOT_LEADER_OR_FOLLOWER',
  'REPLICA_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

const retryable: ReadonlySet<string> = new Set([
  ...misdirected,
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'CORRUPT_MESSAGE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'OFFSET_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_LEADER_EPOCH',
  'UNKNOWN_SERVER_ERROR',
  'UNSTABLE_OFFSET_COMMIT',
])

/** The answer, also one that tells of errors. Fails with `DISCONNECTED`. */
export async function ask<Args extends unknown[], Answer>(
  connection: Connection,
  api: API<Args, Answer>,
  ...args: Args
): Promise<Answer> {
  try {
    return await api.async(connection, ...args)
  } catch (error) {
    if (error instanceof ResponseError && error.response !== undefined) return error.response
    throw new KafkaFailure('DISCONNECTED', 'A broker did not answer.', { cause: error })
  }
}

/** `NONE`, or Kafka's name of the error. */
export function codeName(code: number): string {
  return protocolErrorsCodesById[code] ?? `ERROR_${code}`
}

/** Throws what an error code means. */
export function check(code: number, what: string): void {
  if (code === 0) return
  throw failureOf(code, what)
}

export function failureOf(code: number, what: string): KafkaFailure {
  const name = codeName(code)
  return new KafkaFailure(name, `${what}: ${protocolErrors[name]?.message ?? name}`)
}

export function isKafkaFailure(error: unknown, ...codes: string[]): error is KafkaFailure {
  return error instanceof KafkaFailure && (codes.length === 0 || codes.includes(error.code))
}

/** The chain of messages and codes alone. */
export function plainCause(error: unknown, depth = 0): Error {
  const message = error instanceof Error ? error.message : String(error)
  const nested =
    error instanceof AggregateError && error.errors.length > 0
      ? error.errors[0]
      : error instanceof Error
        ? error.cause
        : undefined
  const cause = nested === undefined || depth === 4 ? undefined : plainCause(nested, depth + 1)
  const plain = new Error(message, cause === undefined ? undefined : { cause })
  if (error instanceof Error) plain.name = error.name
  return plain
}
