/** The SDK routes for the OpenAPI document. SDKs know them; the document names them for people. */
const parameter = (name: string, place: 'path' | 'query'): Record<string, unknown> => ({
  name,
  in: place,
  required: place === 'path',
  schema: { type: 'string' },
})

const answer = (type: string): Record<string, unknown> => ({
  200: { description: 'Success', content: { [type]: { schema: {} } } },
})

const refusals = {
  '4XX': { description: 'Refused', content: { 'text/plain': { schema: { type: 'string' } } } },
}

type Shape = { id: string; summary: string; path?: string; query?: readonly string[]; type?: string }

function get({ id, summary, path, query = [], type = 'application/json' }: Shape): Record<string, unknown> {
  return {
    operationId: id,
    summary,
    tags: ['sdk'],
    security: [],
    parameters: [
      ...(path === undefined ? [] : [parameter(path, 'path')]),
      ...query.map((name) => parameter(name, 'query')),
    ],
    responses: { ...answer(type), ...refusals },
  }
}

function flags(endpoint: 'flags' | 'decide'): Record<string, unknown> {
  const query = ['v', 'config', 'compression']
  const post = get({
    id: `post${endpoint}`,
    summary: 'The flags and the config of a project for a distinct id',
    query,
  })
  return {
    get: get({ id: `get${endpoint}`, summary: 'What an SDK may send, without flags', query }),
    post: { ...post, requestBody: { required: true, content: { 'application/json': { schema: {} } } } },
  }
}

function definitions(id: string): Record<string, unknown> {
  const summary = 'Flag definitions for SDKs that evaluate flags themselves'
  return { get: { ...get({ id, summary, query: ['token'] }), security: [{ personalApiKey: [] }] } }
}

const script = 'application/javascript'

export const sdkPaths: Readonly<Record<string, Record<string, unknown>>> = {
  '/flags': flags('flags'),
  '/decide': flags('decide'),
  '/flags/definitions': definitions('getFlagDefinitions'),
  '/api/feature_flag/local_evaluation': definitions('getLocalEvaluation'),
  '/array/{token}/config': {
    get: get({ id: 'getRemoteConfig', summary: 'The config of a browser SDK', path: 'token' }),
  },
  '/array/{token}/config.js': {
    get: get({ id: 'getConfigScript', summary: 'The same as a script', path: 'token', type: script }),
  },
  '/array/{token}/array.js': {
    get: get({ id: 'getArrayScript', summary: 'The browser SDK with it', path: 'token', type: script }),
  },
  '/static/{file}': {
    get: get({ id: 'getStaticFile', summary: "The browser SDK's own files", path: 'file', type: script }),
  },
}
