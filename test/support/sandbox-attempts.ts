/** A sandbox for attacks, with a neighbour in the same child process that must answer as before after each. */
import assert from 'node:assert/strict'
import type { CallAnswer, ProgramSpec } from '../../src/sandbox/program.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { callWith, kindsOf, loadSource, openTestSandbox, valuesOf } from './sandbox.ts'

export type Attempt = Partial<ProgramSpec> & { values?: readonly unknown[]; concurrencyMax?: number }

export interface Attempts extends AsyncDisposable {
  readonly sandbox: Sandbox
  /** Runs `exports.run` of a source over the values. */
  attempt(source: string, more?: Attempt): Promise<CallAnswer>
  /** The value of an expression, in which `n` is the item. */
  valueFrom(expression: string, more?: Attempt): Promise<unknown>
  /** Item 1 of three does the harm; its fate is told, the others must have their values. */
  oneOfThree(body: string, more?: Attempt): Promise<string | undefined>
  askNeighbour(): Promise<void>
}

export async function openAttempts(): Promise<Attempts> {
  const sandbox = await openTestSandbox()
  const neighbour = await loadSource(
    sandbox,
    'exports.run = (n) => ({ n, keys: Object.keys({}).length, list: [1, 2].map((x) => x + n), seen: globalThis.mark })',
  )
  const attempt: Attempts['attempt'] = async (source, { values = [0], concurrencyMax = 1, ...more } = {}) => {
    await using program = await loadSource(sandbox, source, more)
    return await callWith(program, values, { concurrencyMax })
  }
  return {
    sandbox,
    attempt,
    async valueFrom(expression, more) {
      const answer = await attempt(`exports.run = async (n) => (${expression})`, more)
      const [result] = answer.results
      assert.equal(result?.kind, 'value', JSON.stringify(result))
      return valuesOf(answer)[0]
    },
    async oneOfThree(body, more) {
      const source = `exports.run = (n) => { if (n === 1) { ${body} } return n }`
      const answer = await attempt(source, { ...more, values: [0, 1, 2] })
      const [first, kind, last] = kindsOf(answer)
      assert.deepEqual([first, last], ['value', 'value'])
      assert.deepEqual([valuesOf(answer)[0], valuesOf(answer)[2]], [0, 2])
      return kind
    },
    async askNeighbour() {
      assert.deepEqual(valuesOf(await callWith(neighbour, [1])), [{ n: 1, keys: 0, list: [2, 3] }])
    },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  }
}
