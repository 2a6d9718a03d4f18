/**
 * The texts that make a heap, compiled once for each program: further heaps of it take what V8 kept. The
 * compiled form never leaves the process: it holds machine code, and is only as trusted as who made it.
 */
import type Ivm from 'isolated-vm'
import { preludeBridge } from './prelude-bridge.ts'
import { preludeWorld } from './prelude-world.ts'

export interface CompiledText {
  compile(isolate: Ivm.Isolate): Promise<Ivm.Script>
}

export type CompiledTexts = { prelude: CompiledText; library: CompiledText | undefined; source: CompiledText }

export function createPrelude(): CompiledText {
  const text = `'use strict';\n(function (out, shared, limitsText) {
const view = new Int32Array(shared), limits = JSON.parse(limitsText);
${preludeWorld}${preludeBridge}})`
  return createCompiledText(text, { filename: 'rowmill:sandbox' })
}

export function createCompiledTexts(
  prelude: CompiledText,
  program: { name: string; source: string; library: string | undefined },
): CompiledTexts {
  const { name, source, library } = program
  return {
    prelude,
    library:
      library === undefined
        ? undefined
        : createCompiledText(`(${library}\n)`, { filename: 'rowmill:library' }),
    source: createCompiledText(`(function (exports, module) {\n${source}\n})`, {
      filename: name,
      lineOffset: -1,
    }),
  }
}

function createCompiledText(text: string, origin: { filename: string; lineOffset?: number }): CompiledText {
  let cachedData: Ivm.ExternalCopy<ArrayBuffer> | undefined
  return {
    async compile(isolate) {
      if (cachedData !== undefined) return await isolate.compileScript(text, { ...origin, cachedData })
      const script = await isolate.compileScript(text, { ...origin, produceCachedData: true })
      cachedData = cachedDataOf(script)
      return script
    },
  }
}

function cachedDataOf(script: Ivm.Script & { cachedData?: Ivm.ExternalCopy<ArrayBuffer> }) {
  return script.cachedData
}
