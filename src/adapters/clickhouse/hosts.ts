/**
 * The hosts of ClickHouse and how they are. Every request goes to the first healthy one; the order is turned by
 * chance when the Warehouse opens, so that processes spread, and each stays with one host and reads what it wrote.
 * A host that failed is left alone for a pause that doubles, with jitter, up to a bound. When the pause is
 * over it is asked for a sign of life beside the work, and only then comes back. When none is healthy, all are
 * tried.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import { retryDelay } from '../../std/retry.ts'
import type { Logger } from '../../telemetry/logger.ts'

export interface Hosts {
  /** Where a request goes: each once, in this order, until one takes it. Never empty. */
  candidates(): readonly string[]
  isWell(host: string): void
  isSick(host: string): void
}

export type HostsOptions = {
  urls: readonly string[]
  hostPauseMs: number
  hostPauseMsMax: number
  /** Whether the host gives a sign of life. */
  ping: (host: string) => Promise<boolean>
}

type State = { failures: number; sickUntilMs: number; isAsked: boolean }

export function createHosts(
  context: { clock: Clock; random: Random; logger: Logger },
  options: HostsOptions,
): Hosts {
  const { clock, random, logger } = context
  const { urls, hostPauseMs, hostPauseMsMax, ping } = options
  const first = Math.floor(random.next() * urls.length)
  const order = [...urls.slice(first), ...urls.slice(0, first)]
  const sick = new Map<string, State>()
  const policy = { attemptsMax: Number.POSITIVE_INFINITY, delayMs: hostPauseMs, delayMaxMs: hostPauseMsMax }

  const isWell = (host: string): void => {
    if (sick.delete(host)) logger.info({ host }, 'A host of ClickHouse is back.')
  }
  const isSick = (host: string): void => {
    const failures = (sick.get(host)?.failures ?? 0) + 1
    const pauseMs = retryDelay(policy, failures, random.next())
    sick.set(host, { failures, sickUntilMs: clock.monotonic() + pauseMs, isAsked: false })
    if (urls.length > 1) logger.warn({ host, pauseMs }, 'A host of ClickHouse failed and is left alone.')
  }
  const ask = async (host: string, state: State): Promise<void> => {
    state.isAsked = true
    const isThere = await ping(host)
    // Meanwhile a request may have found out by itself.
    if (sick.get(host) !== state) return
    if (isThere) isWell(host)
    else isSick(host)
  }
  return {
    isWell,
    isSick,
    candidates() {
      const [only] = order
      if (order.length === 1 && only !== undefined) return [only]
      const now = clock.monotonic()
      const healthy = order.filter((host) => !sick.has(host))
      const rest = [...sick].sort(([, left], [, right]) => left.sickUntilMs - right.sickUntilMs)
      if (healthy.length > 0)
        for (const [host, state] of rest)
          if (state.sickUntilMs <= now && !state.isAsked) void ask(host, state)
      return [...healthy, ...rest.map(([host]) => host)]
    },
  }
}

/**
 * `ch.example, ch.example:8123` and URLs as a list of URLs without a slash at their end; ClickHouse's HTTP ports
 * are 8123 and 8443. Fails with `CONFIG_INVALID`.
 */
export function readHosts(text: string, options: { isSecure: boolean }): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names.length === 0) throw wrongHost(text, 'is empty')
  const hosts = names.map((name) => completeUrl(name, options.isSecure))
  const twice = hosts.find((host, index) => hosts.indexOf(host) !== index)
  if (twice !== undefined) throw wrongHost(twice, 'is there twice')
  return hosts
}

function completeUrl(name: string, isSecure: boolean): string {
  const isComplete = /^https?:\/\//.test(name)
  if (!isComplete && name.includes('://')) throw wrongHost(name, 'is neither http:// nor https://')
  const port = /:\d+$/.test(name) ? '' : isSecure ? ':8443' : ':8123'
  const text = isComplete ? name : `${isSecure ? 'https' : 'http'}://${name}${port}`
  if (!URL.canParse(text)) throw wrongHost(name, 'is no host and no URL')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw wrongHost(
      url.host,
      'comes with a user or a password, which belong into warehouse.user (CLICKHOUSE_USER) and warehouse.password (CLICKHOUSE_PASSWORD)',
    )
  if (url.search !== '' || url.hash !== '')
    throw wrongHost(url.host, 'comes with parameters, which are not read')
  if (/^(9000|9440)$/.test(url.port))
    throw wrongHost(
      name,
      "has the port of ClickHouse's native protocol; name that of its HTTP interface, such as 8123 or 8443",
    )
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function wrongHost(name: string, what: string): RowmillError {
  return new RowmillError(
    'CONFIG_INVALID',
    `warehouse.url (CLICKHOUSE_HOST): ${JSON.stringify(name)} ${what}. Give a host, host:port, a URL such as https://ch.example:8443, or several of them separated by commas.`,
  )
}
