/** Values at which programs differ. */
import { JsonFloat, type LosslessValue } from '../../std/lossless-json.ts'

/** A value that is written as it stands here, valid or not. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export const edgeIntegers: readonly [bigint, ...bigint[]] = [
  0n,
  1n,
  -1n,
  9n,
  10n,
  29n,
  30n,
  31n,
  90n,
  127n,
  128n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  -(2n ** 31n) - 1n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  -(2n ** 63n),
  -(2n ** 63n) - 1n,
  2n ** 64n - 1n,
  2n ** 64n,
  2n ** 127n,
  2n ** 128n - 1n,
]

export const edgeFloats: readonly [number | JsonFloat, ...(number | JsonFloat)[]] = [
  0.1,
  -0.5,
  1.5,
  new JsonFloat(0),
  new JsonFloat(-0),
  new JsonFloat(1),
  new JsonFloat(30),
  new JsonFloat(1e16),
  new JsonFloat(1e21),
  5e-324,
  1e-7,
  1.7976931348623157e308,
  123456.789,
]

export const edgeTexts: readonly [string, ...string[]] = [
  '',
  ' ',
  '0',
  '1',
  '-1',
  '1.0',
  'null',
  'true',
  'ä',
  'Ω\u2028',
  '😀',
  '\uffff😀\ue000',
  'a\u0000b',
  '\u001f\u007f\b\f',
  '"\\/',
  'line\nbreak\ttab',
  '__proto__',
  '2024-02-30T00:00:00Z',
  '2023-11-14T22:13:20.123456Z',
  '1700000000',
  '00000000-0000-0000-0000-000000000000',
  'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  'ffffffffffffffff',
  '127.0.0.1',
  '::ffff:1.2.3.4',
  'x'.repeat(300),
]

export const edgeRaws: readonly [RawJson, ...RawJson[]] = [
  new RawJson('1e3'),
  new RawJson('1E400'),
  new RawJson('-0'),
  new RawJson('0.10'),
  new RawJson('100000000000000000000000000000000000000001'),
  new RawJson('"\\ud800"'),
  new RawJson('"\\ud83d\\ude00"'),
  new RawJson('"\\u0041\\/"'),
  new RawJson('NaN'),
  new RawJson('01'),
  new RawJson(' \n\t1 '),
]

export const otherValues: readonly [LosslessValue, ...LosslessValue[]] = [
  null,
  true,
  false,
  [],
  {},
  [null],
  [[]],
  { '': null },
  [1, 'a'],
  { a: { b: [] } },
]
