/**
 * Connections to brokers, opened when they are needed and forgotten when they break. A broker answers the
 * requests of one connection one after the other, so what waits long (a join, a fetch) has a *lane* of its own.
 */
import { isIP } from 'node:net'
import { Connection } from '@platformatic/kafka'
import type { KafkaConfig } from '../config.ts'
import { KafkaFailure } from './answers.ts'
import { securityOf } from './security.ts'

export type Address = { host: string; port: number }

export type Lane = {
  name: string
  /** For requests that a broker may hold. Default: the setting. */
  requestTimeoutMs?: number
}

const pipelineMax = 100

export class Connections implements AsyncDisposable {
  readonly #config: KafkaConfig
  readonly #open = new Map<string, Promise<Connection>>()
  readonly #security: ReturnType<typeof securityOf>
  #isClosed = false
  /** Why a connection broke last: a server that wants another certificate says so after the handshake. */
  lastFailure: unknown

  constructor(config: KafkaConfig) {
    this.#config = config
    this.#security = securityOf(config)
  }

  /** Fails with `DISCONNECTED`. */
  async to(address: Address, lane: Lane): Promise<Connection> {
    if (this.#isClosed) throw new KafkaFailure('DISCONNECTED', 'The log was closed.')
    const key = `${address.host}:${address.port}/${lane.name}`
    const known = this.#open.get(key)
    if (known !== undefined) return await known
    const opening = this.#connect(address, lane, () => {
      if (this.#open.get(key) === opening) this.#open.delete(key)
    })
    this.#open.set(key, opening)
    return await opening
  }

  /** Closes a lane everywhere: what waits for an answer there fails at once. */
  async closeLane(name: string): Promise<void> {
    const closing = [...this.#open].filter(([key]) => key.endsWith(`/${name}`))
    await Promise.all(closing.map(([key, opening]) => this.#close(key, opening)))
  }

  async #connect(address: Address, lane: Lane, onEnd: () => void): Promise<Connection> {
    const connection = new Connection(this.#config.clientId, {
      ...this.#security,
      connectTimeout: this.#config.connectTimeoutMs,
      requestTimeout: lane.requestTimeoutMs ?? this.#config.requestTimeoutMs,
      maxInflights: pipelineMax,
      // A certificate is looked up by name, never by address.
      tlsServerName: isIP(address.host) === 0,
    })
    connection.on('error', (error) => {
      this.lastFailure = error
      onEnd()
    })
    connection.on('close', onEnd)
    connection.on('closing', onEnd)
    try {
      await connection.connect(address.host, address.port)
      return connection
    } catch (error) {
      onEnd()
      throw new KafkaFailure('DISCONNECTED', `No connection to ${address.host}:${address.port}.`, {
        cause: error,
      })
    }
  }

  async #close(key: string, opening: Promise<Connection>): Promise<void> {
    this.#open.delete(key)
    try {
      const connection = await opening
      const closed = connection.close()
      // A peer that does not read would keep a gentle end waiting.
      connection.socket.destroy()
      await closed
    } catch (error) {
      if (!(error instanceof KafkaFailure)) throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#open].map(([key, opening]) => this.#close(key, opening)))
  }
}
