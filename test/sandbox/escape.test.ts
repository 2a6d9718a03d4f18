/**
 * Attempts to get out of the sandbox, to deceive the host, and to harm a neighbour. Those to take more than is
 * there are in limits.test.ts, those that end the process in crash.test.ts.
 * After each the neighbour, a program in the same child process, must answer as before.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'
import { isRowmillError } from '../../src/errors/rowmill-error.ts'
import { callWith, failureOf, kindsOf, loadSource, valuesOf } from '../support/sandbox.ts'
import { type Attempts, openAttempts } from '../support/sandbox-attempts.ts'

let attempts: Attempts
before(async () => {
  attempts = await openAttempts()
})
after(() => attempts[Symbol.asyncDispose]())
afterEach(() => attempts.askNeighbour())

const attempt: Attempts['attempt'] = (source, more) => attempts.attempt(source, more)
const oneOfThree: Attempts['oneOfThree'] = (body, more) => attempts.oneOfThree(body, more)
const valueFrom: Attempts['valueFrom'] = (expression, more) => attempts.valueFrom(expression, more)

suite('authority', () => {
  test('the globals are those of the language, less what shares memory or tells time, and a console', async () => {
    const names = await valueFrom('Object.getOwnPropertyNames(globalThis)')
    assert.ok(Array.isArray(names))
    const allowed = new Set(
      (
        'Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise ' +
        'RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError globalThis ' +
        'JSON Math Intl ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array ' +
        'BigUint64Array BigInt64Array Uint8ClampedArray Float32Array Float64Array DataView Map BigInt Set Iterator ' +
        'WeakMap WeakSet Proxy Reflect decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape ' +
        'eval isFinite isNaN console SuppressedError DisposableStack AsyncDisposableStack Float16Array crypto bridge'
      ).split(' '),
    )
    assert.deepEqual(
      names.filter((name) => !allowed.has(name)),
      [],
    )
  })

  test('there is no process, require, module loader, file, network or timer', async () => {
    const names = [
      'process',
      'require',
      'Buffer',
      'fetch',
      'XMLHttpRequest',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'queueMicrotask',
      'performance',
      'navigator',
      'global',
      'WebSocket',
      'Worker',
      'URL',
    ]
    assert.deepEqual(
      await valueFrom(`[${names.map((name) => `typeof ${name}`).join()}]`),
      names.map(() => 'undefined'),
    )
  })

  test('a dynamic import of a built-in module is refused', async () => {
    assert.equal(await valueFrom(`import('node:fs').then(() => 'loaded', () => 'refused')`), 'refused')
    assert.equal(
      await valueFrom(`(0, eval)("import('fs')").then(() => 'loaded', () => 'refused')`),
      'refused',
    )
  })

  test('an import statement and import.meta are syntax errors', async () => {
    for (const source of [`import fs from 'fs'`, 'exports.run = () => import.meta.url'])
      await assert.rejects(loadSource(attempts.sandbox, source), (error) =>
        isRowmillError(error, 'SANDBOX_PROGRAM_INVALID'),
      )
  })

  for (const [what, object] of Object.entries({
    'an object': '({})',
    'the item': 'n',
    'the console': 'console.log',
    'the bridge': 'bridge.call',
    'an answer of the host': `(await bridge.call('echo'))`,
    'an error of the host': `(await bridge.call('fail').catch((error) => error))`,
    module: 'Object.getPrototypeOf(async () => {})',
    'a generator': 'Object.getPrototypeOf(function* () {})',
    'an async generator': 'Object.getPrototypeOf(async function* () {})',
  }))
    test(`the constructor chain of ${what} ends in the program's own world`, async () => {
      const host = {
        echo: async () => '{"a":[]}',
        fail: async () => {
          throw new Error('no')
        },
      }
      const made = `(() => { const make = ${object}.constructor; return (make.name.includes('Function') ? make : make.constructor) })()`
      const asked = `await (async () => { let found = ${made.replace('(() =>', '(async () =>').replace('})()', '})()')}; found = await found; let got = found('return [typeof process, typeof require, this === undefined || this === globalThis]')(); if (typeof got.next === 'function') got = (await got.next()).value; return await got })()`
      assert.deepEqual(await valueFrom(asked, { host, values: [{ a: 1 }] }), ['undefined', 'undefined', true])
    })

  test('indirect eval sees the same world', async () => {
    assert.equal(await valueFrom(`(0, eval)('typeof process + typeof require')`), 'undefinedundefined')
  })

  test('frames of a stack give neither functions nor receivers of the sandbox', async () => {
    const answer = await attempt(`
      Error.prepareStackTrace = (error, sites) => sites
      exports.run = () => {
        const sites = new Error().stack
        return sites.map((site) => [typeof site.getFunction(), typeof site.getThis(), site.isToplevel()])
          .filter(([fn, self]) => fn === 'function' || self === 'object').length
      }`)
    assert.ok(Number(valuesOf(answer)[0]) <= 1, "at most the program's own function")
    const strict = await attempt(`'use strict'
      Error.prepareStackTrace = (error, sites) => sites
      exports.run = () => new Error().stack.map((site) => typeof site.getFunction() + typeof site.getThis()).filter((x) => x !== 'undefinedundefined')`)
    assert.deepEqual(valuesOf(strict), [[]])
  })

  test('a function cannot see who called it', async () => {
    const answer = await attempt(`exports.run = function run() {
      const found = []
      for (const look of [() => run.caller, () => arguments.callee.caller, () => run.caller.arguments])
        try { found.push(look() ?? null) } catch { found.push(null) }
      return found
    }`)
    assert.deepEqual(valuesOf(answer), [[null, null, null]])
  })

  test('the bridge cannot be replaced, extended or asked for more than its one function', async () => {
    assert.deepEqual(
      await valueFrom(`(() => { 'use strict'; const found = [Object.isFrozen(bridge), Object.getPrototypeOf(bridge), Reflect.ownKeys(bridge)];
        try { bridge.call = 1 } catch { found.push('refused') } return found })()`),
      [true, null, ['call'], 'refused'],
    )
  })

  test('a host function is found by its own name only', async () => {
    for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty', 'nothing', ''])
      assert.match(
        String(
          await valueFrom(`bridge.call(${JSON.stringify(name)}).catch((error) => error.message)`, {
            host: {},
          }),
        ),
        /There is no host function/,
      )
    assert.match(
      String(await valueFrom('bridge.call(Symbol.iterator).catch((error) => error.message)')),
      /is a text/,
    )
  })

  test('an error of the host has its name and message, and no stack of the host', async () => {
    const host = {
      fail: async () => {
        throw Object.assign(new TypeError('no luck'), { secret: 'x', cause: new Error('y') })
      },
    }
    const found = await valueFrom(
      `bridge.call('fail').catch((e) => [e instanceof Error, e.name, e.message, e.secret, e.cause, /node_modules|file:|\\.ts/.test(e.stack)])`,
      { host },
    )
    assert.deepEqual(found, [true, 'TypeError', 'no luck', null, null, false])
  })

  test('shared memory, atomics, WebAssembly and weak references are not there', async () => {
    const names = [
      'SharedArrayBuffer',
      'Atomics',
      'WebAssembly',
      'WeakRef',
      'FinalizationRegistry',
      'Temporal',
    ]
    assert.deepEqual(
      await valueFrom(`[${names.map((name) => `typeof ${name}`).join()}]`),
      names.map(() => 'undefined'),
    )
    assert.equal(await valueFrom(`Function('return typeof SharedArrayBuffer')()`), 'undefined')
  })

  test('a source that closes its wrapper is refused, or runs in the same world', async () => {
    await assert.rejects(loadSource(attempts.sandbox, '}) + 1; ({'), (error) =>
      isRowmillError(error, 'SANDBOX_PROGRAM_INVALID'),
    )
    const answer = await attempt(
      `}); globalThis.mark = typeof process; (function (exports) { exports.run = () => mark`,
    )
    assert.deepEqual(valuesOf(answer), ['undefined'])
  })
})

suite('time and chance', () => {
  test('every way to ask for the present gives the time of the item', async () => {
    const expression = `[Date.now(), +new Date(), Date.parse(Date()), +new (new Date(0).constructor)(), +Reflect.construct(Date, []),
      new Date.prototype.constructor().getTime(), +new (class extends Date {})(), new Intl.DateTimeFormat('en', { year: 'numeric' }).format(),
      new Intl.DateTimeFormat('en', { year: 'numeric' }).formatToParts()[0].value]`
    const ms = 1_000_000_000_000
    assert.deepEqual(await valueFrom(expression), [ms, ms, ms, ms, ms, ms, ms, '2001', '2001'])
  })

  test('the same item draws the same numbers, whatever was drawn before', async () => {
    const source = `exports.run = () => [Math.random(), Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))]]`
    const one = valuesOf(await attempt(source, { values: [0, 0, 0] }))
    const other = valuesOf(await attempt(source, { values: [0, 0, 0] }))
    assert.deepEqual(one, other)
    assert.notDeepEqual(one[0], one[1])
    assert.deepEqual(valuesOf(await attempt(source)), one.slice(0, 1))
  })
})

suite('deceit', () => {
  test('what is done to the prototypes of one program is not seen by another', async () => {
    await attempt(`
      for (const type of [Object, Array, String, Function, Promise, Error, Map])
        { type.prototype.mark = 'x'; type.mark = 'x' }
      globalThis.mark = 'x'
      Array.prototype.map = () => 'stolen'; Object.keys = () => ['stolen']
      exports.run = () => 1`)
    const answer = await attempt('exports.run = () => [{}.mark, [].mark, "".mark, typeof mark]')
    assert.deepEqual(valuesOf(answer), [[null, null, null, 'undefined']])
  })

  for (const [what, harm] of Object.entries({
    'toJSON on every prototype':
      'for (const type of [Object, Array, String, Number]) type.prototype.toJSON = function () { return "stolen" }',
    'setters on Array.prototype':
      'for (let at = 0; at < 20; at++) Object.defineProperty(Array.prototype, at, { set() { globalThis.stolen = true }, configurable: true })',
    'setters on Object.prototype':
      'for (const name of ["number", "ended", "answers", "count", "isOver", "value", "get"]) Object.defineProperty(Object.prototype, name, { __proto__: null, set() {}, get() { return "stolen" }, configurable: true })',
    'other iterators':
      'Array.prototype[Symbol.iterator] = function* () { yield "stolen" }; String.prototype[Symbol.iterator] = Array.prototype[Symbol.iterator]',
    'another JSON':
      'JSON.parse = () => "stolen"; JSON.stringify = () => "stolen"; globalThis.JSON = { parse: () => "stolen", stringify: () => "stolen" }',
    'other methods of texts':
      'for (const name of Object.getOwnPropertyNames(String.prototype)) if (name !== "constructor" && name !== "length") String.prototype[name] = () => "stolen"',
    'another Reflect, Object and Function':
      'Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => "stolen"; Reflect.apply = () => "stolen"; Object.defineProperty = () => "stolen"; globalThis.Reflect = globalThis.Object = null',
    'another Promise':
      'Promise.prototype.then = () => { throw 1 }; Promise.resolve = () => 1; globalThis.Promise = class {}; Promise.prototype.constructor = null',
    'a thief in the constructor of promises':
      'Object.defineProperty(Promise.prototype, "constructor", { get() { throw new Error("stolen") } })',
    'another Date and Math': 'globalThis.Date = Math.imul = Math.floor = globalThis.Math = null',
    'species that steal':
      'Object.defineProperty(Promise, Symbol.species, { get() { return class { constructor(f) { f(() => {}, () => {}) } } } }); Object.defineProperty(Array, Symbol.species, { get() { throw 1 } })',
    'errors without texts':
      'Error.prepareStackTrace = () => { throw 1 }; Error.stackTraceLimit = "x"; Error.captureStackTrace = null',
  }))
    test(`${what}: the answers stay the items' own`, async () => {
      const answer = await attempt(`${harm}\nexports.run = (n) => n`, { values: [1, 2, 3] })
      assert.deepEqual(valuesOf(answer), [1, 2, 3])
      const waited = await attempt(
        `${harm}\nexports.run = async (n) => { if (n === 2) throw new TypeError('two'); return n }`,
        { values: [1, 2, 3] },
      )
      const [first, second, third] = waited.results
      assert.equal(second?.kind, 'failed')
      if (!what.includes('thief'))
        assert.deepEqual(
          [first, third],
          [
            { kind: 'value', text: '1' },
            { kind: 'value', text: '3' },
          ],
        )
    })

  test('JSON with __proto__ and constructor keys pollutes nothing', async () => {
    const answer = await attempt(
      'exports.run = (item) => [{}.x, item.constructor, Object.keys(item).length]',
      { values: [JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}')] },
    )
    assert.deepEqual(valuesOf(answer), [[null, { prototype: { x: 1 } }, 2]])
  })

  test('a result that is a proxy with hostile traps is an error or a value of its item', async () => {
    assert.equal(
      await oneOfThree('return new Proxy({}, { get() { throw new Error("trap") }, ownKeys() { throw 1 } })'),
      'thrown',
    )
    assert.equal(await oneOfThree('return new Proxy({}, { ownKeys() { for (;;); } })'), 'timeout')
    const { proxy } = { proxy: 'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy' }
    assert.equal(await oneOfThree(proxy), 'thrown')
  })

  test('a thenable cannot end its item twice, nor another', async () => {
    const source = `let keep; exports.run = (n) => {
      if (n === 1) return { then(good, bad) { keep = good; good('one'); good('more'); bad(new Error('x')) } }
      keep?.('late'); return n }`
    assert.deepEqual(valuesOf(await attempt(source, { values: [0, 1, 2, 3] })), [0, 'one', 2, 3])
  })

  test('a thenable that throws, or whose then is a trap, fails alone', async () => {
    assert.equal(await oneOfThree('return { then() { throw new Error("x") } }'), 'thrown')
    assert.equal(await oneOfThree('return { get then() { throw new Error("x") } }'), 'thrown')
    assert.equal(await oneOfThree('const self = { then(good) { good(self) } }; return self'), 'timeout')
  })

  test('toJSON may lie about its own item only', async () => {
    const answer = await attempt('exports.run = (n) => n === 1 ? { toJSON: () => "],0v1,[" } : n', {
      values: [0, 1, 2],
    })
    assert.deepEqual(valuesOf(answer), [0, '],0v1,[', 2])
    assert.equal(await oneOfThree('return { toJSON() { throw new Error("x") } }'), 'thrown')
  })

  test('a circular result, a BigInt and a function are errors or nothing', async () => {
    assert.equal(await oneOfThree('const a = {}; a.a = a; return a'), 'thrown')
    assert.equal(await oneOfThree('return 1n'), 'thrown')
    const answer = await attempt('exports.run = () => () => 1')
    assert.deepEqual(answer.results, [{ kind: 'value', text: undefined }])
  })

  test('whatever is thrown has a text', async () => {
    for (const thrown of [
      'null',
      'undefined',
      '1n',
      'Symbol("x")',
      '{ toString() { throw 1 } }',
      'new Proxy({}, { get() { throw 1 } })',
      'new Proxy(new Error("x"), { getPrototypeOf() { throw 1 } })',
      'Object.create(null)',
      '() => 1',
      '{ name: {}, message: [], stack: 1 }',
    ])
      assert.equal(await oneOfThree(`throw ${thrown}`), 'thrown', thrown)
  })

  test('the message and the stack of an error are cut', async () => {
    const failure = failureOf(await attempt('exports.run = () => { throw new Error("x".repeat(1e6)) }'))
    assert.ok(failure.message.length <= 16_384 && failure.stack.length <= 16_384)
  })

  test('positions are those of the source, without frames of the sandbox', async () => {
    const source = `exports.run = (n) => {\n  const inner = () => { throw new RangeError('here') }\n  return inner()\n}`
    const { name, message, stack } = failureOf(await attempt(source))
    assert.deepEqual([name, message], ['RangeError', 'here'])
    assert.deepEqual(stack.split('\n'), [
      'RangeError: here',
      '    at inner (plugin.js:2:31)',
      '    at exports.run (plugin.js:3:10)',
    ])
  })
})

suite('a source that', () => {
  const refusal = async (source: string, expected: RegExp) =>
    await assert.rejects(loadSource(attempts.sandbox, source), (error) => {
      assert.ok(isRowmillError(error, 'SANDBOX_PROGRAM_INVALID'), String(error))
      assert.match(`${error.message} ${error.details.stack}`, expected)
      return true
    })

  test('has a syntax error is refused with its position', () =>
    refusal('exports.a = 1\nexports.b = ;', /Unexpected token.*plugin\.js:2:13/))
  test('throws is refused with its position', () =>
    refusal('\nthrow new Error("at once")', /at once[\s\S]*plugin\.js:2:7/))
  test('loops while it loads is refused', () => refusal('for (;;);', /did not load within/))
  test('takes all memory while it loads is refused', () =>
    refusal('const all = []; for (;;) all.push({ all })', /MiB to load|did not load within/))
  test('waits for ever in microtasks while it loads is refused', () =>
    refusal('(async () => { for (;;) await 0 })()', /did not load within/))
  test('exports nothing has no functions, and inherited ones do not count as its own', async () => {
    await using program = await loadSource(attempts.sandbox, 'module.exports = null')
    assert.deepEqual(program.entries, [])
    assert.deepEqual(kindsOf(await callWith(program, [1])), ['missing'])
  })
})
