/**
 * Style is a test: what a reviewer would say twice stands here, with the replacement in the message.
 * There is no list of exceptions. `tidy-rules.test.ts` shows that each rule finds what it is for.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSources } from './support/sources.ts'
import { findCycle, layerViolations, unreachable } from './support/tidy/graph.ts'
import {
  bannedComments,
  bannedWords,
  fullFolders,
  longFiles,
  longFunctions,
  manyParameters,
  wrongEndings,
  wrongNames,
} from './support/tidy/rules.ts'

const sources = readSources()

test('no source file is longer than its limit', () => {
  assert.deepEqual(longFiles(sources), [])
})

test('no function is longer than its limit', () => {
  assert.deepEqual(longFunctions(sources), [])
})

test('no function takes more positional parameters than its limit', () => {
  assert.deepEqual(manyParameters(sources), [])
})

test('no folder of sources holds more files than its limit', () => {
  assert.deepEqual(fullFolders(sources), [])
})

test('imports point down the layers and siblings never meet', () => {
  assert.deepEqual(layerViolations(sources), [])
})

test('there is no cycle of value imports', () => {
  assert.equal(findCycle(sources), undefined)
})

test('relative imports name a file that Node can load', () => {
  assert.deepEqual(wrongEndings(sources), [])
})

test('no banned word is used', () => {
  assert.deepEqual(bannedWords(sources), [])
})

test('no comment promises work for later or silences a check', () => {
  assert.deepEqual(bannedComments(sources), [])
})

test('names follow the conventions', () => {
  assert.deepEqual(wrongNames(sources), [])
})

test('every source file is reached from the program or is part of its public surface', () => {
  assert.deepEqual(unreachable(sources), [])
})
