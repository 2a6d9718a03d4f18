/** The OpenAPI document, made from the same route list that the server runs. */
import { z } from 'zod'
import type { ApiRoute } from './route.ts'
import { sdkPaths } from './sdk/sdk-paths.ts'

export function openApiDocument(routes: readonly ApiRoute[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Rowmill API',
      version,
      description:
        'People and programs ask questions here. SDKs send events to the capture routes, which are described in docs/reference/capture.md.',
    },
    servers: [{ url: '/' }],
    security: [{ personalApiKey: [] }],
    components: {
      securitySchemes: {
        personalApiKey: { type: 'http', scheme: 'bearer', description: 'A personal API key, phx_…' },
      },
      schemas: { Problem: problem },
    },
    paths: { ...paths, ...sdkPaths },
  }
}

const problem = {
  type: 'object',
  required: ['type', 'code', 'detail', 'attr'],
  properties: {
    type: { type: 'string' },
    code: { type: 'string' },
    detail: { type: 'string' },
    attr: { type: ['string', 'null'] },
  },
}

function operation(route: ApiRoute): Record<string, unknown> {
  const parameters = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(name === 'project_id'
      ? { description: "The project's number, or @current for the first one the key may see." }
      : {}),
  }))
  const responses: Record<string, unknown> = {}
  for (const [status, schema] of Object.entries(route.answers)) {
    const isEmpty = schema instanceof z.ZodUndefined
    responses[status] = {
      description: 'Success',
      ...(isEmpty ? {} : { content: json(jsonSchema(schema, 'output')) }),
    }
  }
  responses.default = { description: 'Refused', content: json({ $ref: '#/components/schemas/Problem' }) }
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replaceAll(/[^a-zA-Z]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary: route.summary,
    tags: [route.tag],
    parameters: [...parameters, ...queryParameters(route.query)],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(jsonSchema(route.body, 'input')) } }),
    responses,
  }
}

function queryParameters(schema: z.ZodType | undefined): unknown[] {
  if (schema === undefined) return []
  const object = jsonSchema(schema, 'input') as {
    properties?: Record<string, { description?: string }>
    required?: string[]
  }
  return Object.entries(object.properties ?? {}).map(([name, property]) => ({
    name,
    in: 'query',
    required: object.required?.includes(name) ?? false,
    schema: property,
  }))
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

function json(schema: unknown): Record<string, unknown> {
  return { 'application/json': { schema } }
}
