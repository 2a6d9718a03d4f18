/** Rowmill as a process of its own, to be killed and started again on the same folder. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitFor } from './wait-for.ts'

const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))

export type ProcessSettings = {
  dataDir: string
  port: number
  token: string
  apiKey: string
  environment?: Record<string, string>
}

export class RowmillProcess implements AsyncDisposable {
  readonly url: string
  readonly #settings: ProcessSettings
  #child: ChildProcess | undefined
  printed = ''

  constructor(settings: ProcessSettings) {
    this.#settings = settings
    this.url = `http://127.0.0.1:${settings.port}`
  }

  /** Starts, and resolves when it is ready. Answers how long that took, in ms. */
  async start(): Promise<number> {
    const { dataDir, port, token, apiKey, environment } = this.#settings
    const startedAt = performance.now()
    const child = spawn(process.execPath, [program, 'serve'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        PORT: String(port),
        ROWMILL_DATA_DIR: dataDir,
        ROWMILL_PROJECT_TOKEN: token,
        ROWMILL_API_KEY: apiKey,
        LOG_LEVEL: 'warn',
        ...environment,
      },
    })
    const keep = (chunk: Buffer): void => {
      this.printed = (this.printed + chunk.toString()).slice(-20_000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    this.#child = child
    const outcome = await waitFor(
      async () => {
        if (child.exitCode !== null) return 'ended'
        return (await fetch(`${this.url}/_readiness`)).ok && 'ready'
      },
      { withinMs: 60_000, what: 'Rowmill to be ready' },
    )
    if (outcome === 'ended') throw new Error(`It ended with ${child.exitCode}: ${this.printed}`)
    return performance.now() - startedAt
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** The engines that it runs. */
  async engines(): Promise<{ postgres: number | undefined; clickhouse: number | undefined }> {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid=,args='])
    const children = stdout
      .split('\n')
      .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
      .flatMap((found) => (found !== null && Number(found[2]) === this.pid ? [found] : []))
    const find = (text: string): number | undefined => {
      const pid = children.find((found) => found[3]?.includes(text))?.[1]
      return pid === undefined ? undefined : Number(pid)
    }
    return { postgres: find('postgres -D'), clickhouse: find('chdb/host') }
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`${this.url}/_readiness`)).ok
  }

  /** Ends it by a signal and resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
    return child.exitCode
  }

  /** Runs another command on the same folder, with the same settings. */
  async command(...parameters: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawn(process.execPath, [program, ...parameters], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ROWMILL_DATA_DIR: this.#settings.dataDir,
        ...this.#settings.environment,
      },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
    })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, out, err }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM')
  }
}
