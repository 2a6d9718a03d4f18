/**
 * What a plugin finds around it, as the source text that runs before the plugin in the same heap: PostHog's
 * globals and its `meta`. Whatever reaches outside is asked of the host by name; nothing here is secret.
 *
 * A heap may be replaced between two events. So the plugin's setup runs before the first event of each heap,
 * and what must last is kept by the host.
 */

/** Functions and tables that a plugin may offer. */
export const pluginFunctions = [
  'setupPlugin',
  'teardownPlugin',
  'processEvent',
  'processEventBatch',
  'onEvent',
  'onSnapshot',
  'exportEvents',
  'runEveryMinute',
  'runEveryHour',
  'runEveryDay',
  'jobs',
  'metrics',
] as const

/** Entries: `describe` answers names of what is offered, `setUp` runs the setup, `processEvent` one event. */
export const pluginLibrary = `(bridge) => {
const ask = (name, ...values) => bridge.call(name, ...values);
const names = ${JSON.stringify(pluginFunctions)};

class RetryError extends Error {
  constructor(message) {
    super(message);
    this.name = 'RetryError';
  }
}

const modules = { '@posthog/plugin-scaffold': { RetryError } };
const require = (name) => {
  if (Object.hasOwn(modules, name)) return modules[name];
  throw new Error(
    'There is no module ' + JSON.stringify(name) + ' for plugins. There is: ' + Object.keys(modules).join(', ') + '.'
  );
};

const noApi = async () => {
  throw new Error('posthog.api is not there in a test.');
};
const posthog = {
  capture: async (event, properties = {}) => {
    await ask('capture', event, properties);
  },
  api: { get: noApi, post: noApi, put: noApi, delete: noApi },
};

const entriesOf = (headers) =>
  headers === undefined || headers === null
    ? []
    : typeof headers[Symbol.iterator] === 'function'
      ? [...headers]
      : Object.entries(headers);

const fetch = async (url, { method = 'GET', headers, body } = {}) => {
  const sent = { url: String(url), method: String(method), headers: entriesOf(headers).map((pair) => pair.map(String)) };
  if (body !== undefined && body !== null) sent.body = String(body);
  const answer = await ask('fetch', sent);
  const map = new Map();
  for (const [name, value] of answer.headers) {
    const key = name.toLowerCase();
    map.set(key, map.has(key) ? map.get(key) + ', ' + value : value);
  }
  return {
    url: answer.url,
    status: answer.status,
    statusText: answer.statusText,
    ok: answer.status >= 200 && answer.status < 300,
    redirected: answer.redirects > 0,
    headers: {
      get: (name) => map.get(String(name).toLowerCase()) ?? null,
      has: (name) => map.has(String(name).toLowerCase()),
      forEach: (run) => map.forEach((value, name) => run(value, name)),
      keys: () => map.keys(),
      values: () => map.values(),
      entries: () => map.entries(),
      [Symbol.iterator]: () => map.entries(),
    },
    text: async () => answer.text,
    json: async () => JSON.parse(answer.text),
  };
};

let declared = {};
const tellPluginFunctions = (found) => {
  declared = found;
};
Object.assign(globalThis, { require, RetryError, posthog, fetch, tellPluginFunctions });

const fileOf = ({ contentType, fileName, text, latin1 }) => {
  const contents = Uint8Array.from(latin1, (char) => char.charCodeAt(0));
  Object.defineProperty(contents, 'toString', { value: () => text });
  return { content_type: contentType, file_name: fileName, contents };
};

const cacheOf = () => {
  const cache = {};
  for (const name of ['incr', 'expire', 'lpush', 'lrange', 'llen', 'lrem', 'lpop'])
    cache[name] = (...values) => ask('cache', name, ...values);
  cache.set = async (key, value, ttlSeconds, options) => {
    await ask('cache', 'set', key, value, ttlSeconds, options);
  };
  cache.get = async (key, otherwise, options) => (await ask('cache', 'get', key, options)) ?? otherwise;
  return cache;
};

const storage = {
  get: async (key, otherwise) => (await ask('storage', 'get', key)) ?? otherwise,
  set: async (key, value) => {
    await ask('storage', value === undefined ? 'del' : 'set', key, value);
  },
  del: async (key) => {
    await ask('storage', 'del', key);
  },
};

const cursor = {
  init: (key, value = 0) => storage.set(key, value),
  increment: (key, by = 1) => ask('storage', 'increment', key, by),
};

const jobs = new Proxy({}, {
  get: (_, name) => (payload) => ({
    runNow: async () => {
      await ask('job', String(name), payload, 'now');
    },
    runIn: async (amount, unit) => {
      await ask('job', String(name), payload, 'in', amount, unit);
    },
    runAt: async (date) => {
      await ask('job', String(name), payload, 'at', new Date(date).toISOString());
    },
  }),
});

const operations = { sum: 'increment', max: 'max', min: 'min' };
const metricsOf = (kinds) => new Proxy({}, {
  get: (_, name) => {
    if (typeof name !== 'string') return undefined;
    if (!Object.hasOwn(kinds, name)) throw new Error('The plugin does not declare the metric ' + name + '.');
    const operation = operations[kinds[name]];
    return {
      [operation]: (value) => {
        ask('metric', name, operation, value);
      },
    };
  },
});

return (exported) => {
  const part = (name) => exported?.[name] ?? exported?.default?.[name] ?? declared[name];
  let meta;
  const prepare = async () => {
    const { config, attachments } = await ask('open');
    const files = {};
    for (const key of Object.keys(attachments)) files[key] = fileOf(attachments[key]);
    const fresh = {
      config,
      attachments: files,
      cache: cacheOf(),
      storage,
      geoip: { locate: (ip) => ask('locate', ip) },
      jobs,
      metrics: metricsOf(part('metrics') ?? {}),
      utils: { cursor },
      global: {},
    };
    await part('setupPlugin')?.(fresh);
    meta = fresh;
  };
  const run = async (event) => {
    const single = part('processEvent');
    if (single !== undefined) return await single(event, meta);
    const batch = await part('processEventBatch')([event], meta);
    if (!Array.isArray(batch)) throw new TypeError('processEventBatch did not answer a list.');
    return batch[0];
  };
  return {
    describe: () => names.filter((name) => part(name) !== undefined),
    setUp: prepare,
    processEvent: async (event) => {
      if (meta === undefined) await prepare();
      return await run(event);
    },
  };
};
}`
