/**
 * The way in and out of a program's isolate, as the source text of the second half of its first script. Only
 * JSON texts and numbers cross: items in, answers, console lines and requests to host functions out.
 *
 * Nothing here trusts what the program can reach. Sums are kept in texts and in objects without a prototype,
 * so that a setter on `Array.prototype` or a `toJSON` on `Object.prototype` is never asked. Everything that
 * runs the program's code (a call, a getter, a `then`, a `toJSON`, a stack) runs for one item, and what it
 * throws ends that item. Where the host looks at any time: `view` holds the state (1 at work, 2 done), the item
 * begun last, the items in hand, and whether the slice of time was used up before the batch was through.
 */
export const preludeBridge = `
let call;
let requests = { __proto__: null };
let requestNumber = 0;
let enteredMs = 0;
let logs = '';
let linesLost = 0;
let entries;

function print(level, values) {
  let text = '';
  for (let at = 0; at < values.length && text.length < limits.lineCharsMax; at++)
    text += (at === 0 ? '' : ' ') + printed(values[at]);
  const line = '["' + level + '",' + stringify(slice(text, 0, limits.lineCharsMax)) + ']';
  if (logs.length + line.length > limits.logCharsMax) linesLost++;
  else logs += (logs === '' ? '' : ',') + line;
}

function printed(value) {
  if (typeof value === 'string') return value;
  try {
    if (value instanceof NativeError) return textOf(value.stack, limits.lineCharsMax);
    if (typeof value === 'object' && value !== null) return textOf(stringify(value), limits.lineCharsMax);
  } catch {
    return 'a value without a text';
  }
  return textOf(value, limits.lineCharsMax);
}

const programConsole = { __proto__: null };
for (const level of ['debug', 'info', 'log', 'warn', 'error', 'trace'])
  put(programConsole, level, (...values) => print(level, values));
put(globalThis, 'console', freeze(programConsole));

/** Asks a host function; answers a promise of the value that its JSON answer stands for. */
function ask(name, ...values) {
  return new NativePromise((resolve, reject) => {
    if (typeof name !== 'string') throw new NativeTypeError('The name of a host function is a text.');
    if (call === undefined) throw new NativeError('Host functions are there for calls only.');
    if (call.hostCalls >= limits.hostCallsMax)
      throw new NativeRangeError('A call may ask host functions ' + limits.hostCallsMax + ' times.');
    if (call.hostInFlight >= limits.hostCallsInFlightMax)
      throw new NativeRangeError('At most ' + limits.hostCallsInFlightMax + ' host functions may be waited for.');
    let text = '';
    for (let at = 0; at < values.length; at++) text += (at === 0 ? '' : ',') + (stringify(values[at]) ?? 'null');
    text = '[' + text + ']';
    if (text.length > limits.hostCharsMax)
      throw new NativeRangeError('What a host function is given may have ' + limits.hostCharsMax + ' characters.');
    call.hostCalls++;
    call.hostInFlight++;
    const number = ++requestNumber;
    requests[number] = { __proto__: null, resolve, reject };
    out(2, number, slice(name, 0, 200), text);
  });
}

function settle(number, isGood, text) {
  const request = requests[number];
  if (request === undefined || call === undefined) return;
  delete requests[number];
  call.hostInFlight--;
  enteredMs = realNow();
  if (isGood) request.resolve(text === undefined ? undefined : parse(text));
  else {
    const { name, message } = parse(text);
    const error = new NativeError(message);
    put(error, 'name', name);
    request.reject(error);
  }
}

function load(library, program, time) {
  setWorld(time, 0);
  call = undefined;
  try {
    const wrap = library === undefined ? undefined : library(freeze({ __proto__: null, call: ask }));
    const module = { exports: {} };
    apply(program, undefined, [module.exports, module]);
    entries = typeof wrap === 'function' ? wrap(module.exports) : module.exports;
    let names = '';
    for (const holder of [entries, entries?.default]) {
      if (holder === null || (typeof holder !== 'object' && typeof holder !== 'function')) continue;
      for (const name of ownKeys(holder))
        if (typeof name === 'string' && name.length <= 200 && typeof holder[name] === 'function')
          if (names.length < limits.errorCharsMax) names += (names === '' ? '' : ',') + stringify(name);
    }
    out(3, 0, '[' + names + ']');
  } catch (thrown) {
    out(4, 0, describe(thrown));
  }
}

function entryOf(name) {
  const found = entries?.[name];
  return typeof found === 'function' ? found : entries?.default?.[name];
}

function begin(number, name, texts, numbers, concurrencyMax) {
  enteredMs = realNow();
  requests = { __proto__: null };
  call = {
    __proto__: null, number, texts, numbers: parse(numbers), concurrencyMax, run: undefined, next: 0, textAt: 0,
    count: 0, active: 0, inHand: { __proto__: null }, ended: '', answers: '', hostCalls: 0, hostInFlight: 0,
  };
  call.count = call.numbers.length / 3;
  view[1] = -1;
  view[2] = 0;
  view[3] = 0;
  view[0] = 1;
  try {
    call.run = entryOf(name);
  } catch {}
  pump();
}

function step() {
  enteredMs = realNow();
  pump();
}

function pump() {
  while (call.next < call.count && call.active < call.concurrencyMax) {
    if (realNow() - enteredMs >= limits.sliceMs) {
      view[3] = 1;
      return;
    }
    start(call.next++);
  }
  if (call.active > 0 || call.next < call.count) return;
  const { number, ended, answers, hostCalls } = call;
  call = undefined;
  requests = { __proto__: null };
  out(0, number, ended, answers, takeLogs(), hostCalls);
  view[0] = 2;
}

function takeLogs() {
  const text = '[' + linesLost + (logs === '' ? '' : ',' + logs) + ']';
  logs = '';
  linesLost = 0;
  return text;
}

function start(index) {
  const { numbers } = call;
  const from = call.textAt;
  call.textAt = from + numbers[index * 3];
  const item = { __proto__: null, call, index, startedMs: realNow(), isOver: false };
  call.inHand[index] = item;
  call.active++;
  view[1] = index;
  view[2] = call.active;
  setWorld(numbers[index * 3 + 1], numbers[index * 3 + 2]);
  if (typeof call.run !== 'function') return end(item, 'm', '');
  let value;
  try {
    value = parse(slice(call.texts, from, call.textAt));
  } catch {
    return end(item, 'i', '');
  }
  try {
    const { run } = call;
    value = run(value);
    const mayWait = (typeof value === 'object' && value !== null) || typeof value === 'function';
    if (mayWait && typeof value.then === 'function') {
      waitFor(item, value);
      return;
    }
  } catch (thrown) {
    return end(item, 'e', describe(thrown));
  }
  endWith(item, value);
}

async function waitFor(item, promise) {
  let value;
  try {
    value = await promise;
  } catch (thrown) {
    if (item.isOver || item.call !== call) return;
    end(item, 'e', describe(thrown));
    pump();
    return;
  }
  if (item.isOver || item.call !== call) return;
  endWith(item, value);
  pump();
}

function endWith(item, value) {
  let text;
  try {
    text = stringify(value);
  } catch (thrown) {
    return end(item, 'e', describe(thrown));
  }
  if (text === undefined) end(item, 'u', '');
  else if (text.length > limits.resultCharsMax) end(item, 'l', '');
  else if (call.answers.length + text.length > limits.answerCharsMax) end(item, 'l', '');
  else end(item, 'v', text);
}

function end(item, kind, text) {
  item.isOver = true;
  delete call.inHand[item.index];
  call.active--;
  view[2] = call.active;
  call.ended += item.index + kind + text.length + ',';
  call.answers += text;
}

/** Ends the items that have waited too long; what they wait for may come later and is not heard. */
function expire() {
  if (call === undefined) return;
  enteredMs = realNow();
  let isAny = false;
  for (const index in call.inHand) {
    const item = call.inHand[index];
    if (enteredMs - item.startedMs < limits.itemWaitMs) continue;
    end(item, 'w', '');
    isAny = true;
  }
  if (isAny || call.active === 0) pump();
}

/** After a part of the batch was ended by force: what was finished until then, and what was in hand. */
function salvage() {
  if (call === undefined) return;
  const { number, ended, answers, hostCalls, inHand } = call;
  let hands = '';
  for (const index in inHand) hands += (hands === '' ? '' : ',') + index;
  call = undefined;
  out(1, number, ended, answers, takeLogs(), hostCalls, hands);
}

return { __proto__: null, load, begin, step, settle, expire, salvage };
`
