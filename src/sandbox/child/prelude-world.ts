/**
 * The world that a program finds, as the source text of the first script of its isolate. Time and chance are
 * those of the item in hand, so that the same item gives the same answer whenever it is run again. What could
 * tell real time, depend on the collector's mood, share memory or hold memory outside the heap is not there:
 * Atomics, SharedArrayBuffer, WebAssembly, WeakRef, FinalizationRegistry, Temporal.
 *
 * The text is strict, so that no function of it can be had from a stack frame, and takes what it needs of the
 * language before the program can change it.
 */
export const preludeWorld = `
const { parse, stringify } = JSON;
const { apply, construct, getOwnPropertyDescriptor, ownKeys } = Reflect;
const { defineProperty, freeze, create } = Object;
const NativeDate = Date, NativeError = Error, NativePromise = Promise, NativeTypeError = TypeError;
const NativeRangeError = RangeError, NativeBytes = Uint8Array, NativeString = String;
const realNow = Date.now;
const imul = Math.imul, floor = Math.floor;
const bind = Function.prototype.bind, callFunction = Function.prototype.call;
const uncurry = (method) => apply(bind, callFunction, [method]);
const slice = uncurry(NativeString.prototype.slice);
const indexOf = uncurry(NativeString.prototype.indexOf);
const hexOf = uncurry(Number.prototype.toString);

let nowMs = 0;
let chance = 0;

function put(target, name, value) {
  defineProperty(target, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}

function nextChance() {
  chance = (chance + 0x6d2b79f5) | 0;
  let mixed = imul(chance ^ (chance >>> 15), 1 | chance);
  mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return (mixed ^ (mixed >>> 14)) >>> 0;
}

function setWorld(time, seed) {
  nowMs = time;
  chance = seed | 0;
}

for (const name of ['Atomics', 'SharedArrayBuffer', 'WebAssembly', 'WeakRef', 'FinalizationRegistry', 'Temporal'])
  delete globalThis[name];

function ProgramDate(...parts) {
  if (new.target === undefined) return new NativeDate(nowMs).toString();
  return construct(NativeDate, parts.length === 0 ? [nowMs] : parts, new.target);
}
ProgramDate.prototype = NativeDate.prototype;
put(NativeDate.prototype, 'constructor', ProgramDate);
put(ProgramDate, 'now', () => nowMs);
put(ProgramDate, 'parse', NativeDate.parse);
put(ProgramDate, 'UTC', NativeDate.UTC);
defineProperty(ProgramDate, 'length', { __proto__: null, value: 7 });
defineProperty(ProgramDate, 'name', { __proto__: null, value: 'Date' });
put(globalThis, 'Date', ProgramDate);

const formats = Intl.DateTimeFormat.prototype;
const formatOf = uncurry(getOwnPropertyDescriptor(formats, 'format').get);
const partsOf = uncurry(formats.formatToParts);
defineProperty(formats, 'format', {
  __proto__: null,
  get() {
    const format = formatOf(this);
    return (date) => format(date === undefined ? nowMs : date);
  },
  enumerable: false,
  configurable: true,
});
put(formats, 'formatToParts', function formatToParts(date) {
  return partsOf(this, date === undefined ? nowMs : date);
});

put(Math, 'random', () => (nextChance() * 0x200000 + (nextChance() >>> 11)) / 0x20000000000000);

function getRandomValues(array) {
  const bytes = new NativeBytes(array.buffer, array.byteOffset, array.byteLength);
  if (bytes.length > 65536) throw new NativeRangeError('getRandomValues fills at most 65536 bytes.');
  for (let at = 0; at < bytes.length; at++) bytes[at] = nextChance();
  return array;
}
function randomUUID() {
  let digits = '';
  for (let at = 0; at < 32; at++) {
    const digit = at === 12 ? 4 : at === 16 ? 8 + (nextChance() & 3) : nextChance() & 15;
    digits += (at === 8 || at === 12 || at === 16 || at === 20 ? '-' : '') + hexOf(digit, 16);
  }
  return digits;
}
put(globalThis, 'crypto', freeze({ __proto__: null, getRandomValues, randomUUID }));

function textOf(value, charsMax) {
  try {
    return slice(typeof value === 'string' ? value : NativeString(value), 0, charsMax);
  } catch {
    return 'a value without a text';
  }
}

function member(object, name) {
  try {
    const value = object[name];
    return typeof value === 'string' ? slice(value, 0, limits.errorCharsMax) : '';
  } catch {
    return '';
  }
}

/** What was thrown, as JSON text: it may be anything, and reading it may throw. */
function describe(thrown) {
  const isObject = (typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function';
  const name = isObject ? member(thrown, 'name') : '';
  const message = isObject ? member(thrown, 'message') : '';
  return stringify({
    __proto__: null,
    name: name === '' ? 'Error' : name,
    message: message === '' && name === '' ? textOf(thrown, limits.errorCharsMax) : message,
    stack: isObject ? member(thrown, 'stack') : '',
  });
}
`
