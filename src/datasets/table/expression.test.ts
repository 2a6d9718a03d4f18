import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findFault, namesIn } from './expression.ts'

test('the columns of an expression are its words that are no function, keyword, type or argument of a lambda', () => {
  for (const [expression, ...names] of [
    ['id', 'id'],
    ['toDate(at) + INTERVAL 30 DAY + toIntervalDay(keep)', 'at', 'keep'],
    ['cityHash64(toString(event_id), 3, 0x1f, 1e3)', 'event_id'],
    ["arrayMap((k, v) -> concat(k, '=', v, sep), tags.key, `tags.value`)", 'sep', 'tags.key', 'tags.value'],
    ['arrayExists(x -> x = 1, list)', 'list'],
    ['CAST(a AS LowCardinality(Nullable(String)))', 'a'],
    ['a::UInt8 + b::Array(Tuple(x String)) + c', 'a', 'b', 'c'],
    ["if(a IS NOT NULL AND b IN ('x y', 'z'), \"c d\", null)", 'a', 'b', 'c d'],
    ['day + `in`', 'day', 'in'],
    ["'it''s; not \\' (here'"],
    ['$group_0', '$group_0'],
    ["at + toIntervalDay(3) DELETE WHERE kind = 1, at + toIntervalDay(9) TO DISK 'cold'", 'at', 'kind'],
  ] as const)
    assert.deepEqual(namesIn(expression).toSorted(), names.toSorted(), expression)
})

test('what is not one whole expression is told', () => {
  for (const [expression, fault] of [
    ['id', undefined],
    ['concat(\'(;--\', `)`, "/*")', undefined],
    ['tuple(a, [b, {c}])', undefined],
    ['a; drop table t', 'holds a semicolon'],
    ['a, b', 'has a comma outside of brackets'],
    ['f(a', 'lacks a )'],
    ['f(a]', 'has a ] that closes nothing'],
    ['a)', 'has a ) that closes nothing'],
    ["'a", "lacks a closing '"],
    ['`a', 'lacks a closing `'],
    ['a -- b', 'holds a comment'],
    ['a /* b */', 'holds a comment'],
    ['a /* b', 'holds a comment'],
    ['a # b', 'holds a comment'],
  ] as const)
    assert.equal(findFault(expression), fault, expression)
})
