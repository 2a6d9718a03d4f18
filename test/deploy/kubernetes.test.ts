/** The manifests, read as kustomize reads them: whether they name each other rightly and what the program knows. */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { suite, test } from 'node:test'
import { doubtfulCombinations } from '../../src/platform/start/combinations.ts'
import { type KubernetesObject, kubernetesObject, kustomization } from './kubernetes-shapes.ts'
import {
  defaults,
  exists,
  find,
  isSecret,
  packageFile,
  read,
  readDocuments,
  readYaml,
  settingsFor,
  unknownVariables,
  wrongCall,
} from './tree.ts'

const base = 'deploy/kubernetes'
const folders = ['single', 'fleet', 'example']
const readKustomization = (folder: string) =>
  kustomization.parse(readYaml(`${base}/${folder}/kustomization.yaml`))
const files = find(`${base}/*/*.yaml`).filter((path) => !path.endsWith('/kustomization.yaml'))
const objects = files.flatMap((path) =>
  readDocuments(path).map((document) => ({ path, object: kubernetesObject.parse(document) })),
)
const ofKind = <Kind extends KubernetesObject['kind']>(kind: Kind, folder = '') =>
  objects.flatMap(({ path, object }) =>
    object.kind === kind && path.startsWith(`${base}/${folder}`)
      ? [object as Extract<KubernetesObject, { kind: Kind }>]
      : [],
  )
const [common] = ofKind('Deployment', 'fleet/pod.yaml')
const roles = ofKind('Deployment', 'fleet').filter((one) => one !== common)
const [single] = ofKind('StatefulSet', 'single')
assert.ok(common !== undefined && single !== undefined)

const literals = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readKustomization(folder)
      .configMapGenerator.flatMap((generator) => generator.literals)
      .map((literal): [string, string] => [
        literal.slice(0, literal.indexOf('=')),
        literal.slice(literal.indexOf('=') + 1),
      ]),
  )
const [secret] = ofKind('Secret')
assert.ok(secret !== undefined)

suite('the folders of manifests', () => {
  for (const folder of folders) {
    test(`${folder}: names files that there are, and every file is named`, () => {
      const { resources, patches = [] } = readKustomization(folder)
      const named = [...resources, ...patches.map(({ path }) => path)].map((path) =>
        posix.join(base, folder, path),
      )
      assert.deepEqual(
        named.filter((path) => !exists(path)),
        [],
      )
      const own = files.filter((path) => path.startsWith(`${base}/${folder}/`))
      assert.deepEqual(
        own.filter((path) => !named.includes(path) && !path.endsWith('.example.yaml')),
        [],
      )
    })

    test(`${folder}: takes the image of this version`, () => {
      const tag = folder === 'single' ? packageFile.version : `${packageFile.version}-fleet`
      assert.deepEqual(
        readKustomization(folder).images.map(({ newTag }) => newTag),
        [tag],
      )
    })

    test(`${folder}: its settings are settings, and none is a secret`, () => {
      const names = Object.keys(literals(folder))
      assert.deepEqual(unknownVariables(names), [])
      assert.deepEqual(names.filter(isSecret), [])
    })
  }

  test('are all in the guide', () => {
    const guide = read('docs/guides/deploy.md')
    for (const folder of folders) assert.ok(guide.includes(`\`${folder}\``), folder)
  })
})

suite('the pods', () => {
  for (const [name, { spec }, waitSeconds] of [
    ['single', single.spec.template, 0],
    ['fleet', common.spec.template, 5],
  ] as const) {
    const [container] = spec.containers

    test(`${name}: run as the image's user, on a root file system that is only read`, () => {
      const user = Number(/^USER (\d+):/m.exec(read('Dockerfile'))?.[1])
      assert.equal(spec.securityContext?.runAsUser, user)
      assert.equal(spec.securityContext?.fsGroup, user)
      assert.equal(container.securityContext?.readOnlyRootFilesystem, true)
      assert.equal(spec.automountServiceAccountToken, false)
    })

    test(`${name}: may write where the program does`, () => {
      const mounts = container.volumeMounts ?? []
      const folder =
        container.env?.find((one) => one.name === 'ROWMILL_DATA_DIR')?.value ?? '/var/lib/rowmill'
      assert.ok(mounts.some(({ mountPath }) => folder.startsWith(mountPath)))
      assert.ok(mounts.some(({ mountPath }) => mountPath === '/tmp'))
      const made = [
        ...(spec.volumes ?? []).map((volume) => volume.name),
        ...(name === 'single' ? single.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name) : []),
      ]
      assert.deepEqual(mounts.map((mount) => mount.name).toSorted(), made.toSorted())
    })

    test(`${name}: are asked at the pages and the port that there are`, () => {
      assert.equal(container.livenessProbe?.httpGet.path, '/_liveness')
      assert.equal(container.readinessProbe?.httpGet.path, '/_readiness')
      // The page itself waits 3 s for an engine.
      assert.ok((container.readinessProbe?.timeoutSeconds ?? 0) > 3)
      assert.deepEqual(container.ports, [{ name: 'http', containerPort: defaults.port }])
    })

    test(`${name}: have time to stop, after the wait before it`, () => {
      const [, waits = '0'] = container.lifecycle?.preStop.exec.command ?? []
      assert.equal(Number(waits), waitSeconds)
      const stopMs = ((spec.terminationGracePeriodSeconds ?? 0) - Number(waits)) * 1000
      assert.ok(stopMs >= defaults.shutdownMs + defaults.postgres.stopGraceMs)
    })

    test(`${name}: get no variables from services`, () => {
      assert.equal(spec.enableServiceLinks, false)
    })

    test(`${name}: read the settings and the secret that there are`, () => {
      assert.deepEqual(container.envFrom, [
        { configMapRef: { name: 'rowmill-settings' } },
        { secretRef: { name: secret.metadata.name } },
      ])
    })

    test(`${name}: are scraped where metrics are`, () => {
      const annotations = (name === 'single' ? single : common).spec.template.metadata?.annotations ?? {}
      assert.equal(annotations['prometheus.io/path'], '/metrics')
      assert.equal(annotations['prometheus.io/port'], String(defaults.port))
    })
  }
})

suite('the roles', () => {
  const roleOf = ({ metadata }: (typeof roles)[number]): string => metadata.name.replace('rowmill-', '')

  test('are those that a fleet needs', () => {
    assert.deepEqual(roles.map(roleOf).toSorted(), ['api', 'capture', 'datasets', 'ingest'])
  })

  for (const deployment of roles) {
    const role = roleOf(deployment)
    const { spec } = deployment
    const [container] = spec.template.spec.containers

    test(`${role}: is called as the program wants it, with settings that it takes`, () => {
      const words = container.args ?? []
      assert.deepEqual(wrongCall(words), [])
      for (const folder of ['fleet', 'example']) {
        const environment: Record<string, string> = {
          ...secret.stringData,
          ...literals('fleet'),
          ...literals(folder),
        }
        const config = settingsFor(environment, words)
        assert.deepEqual(config.roles, [role])
        assert.deepEqual(doubtfulCombinations(config), [])
      }
    })

    test(`${role}: is found by its labels, and has a budget for disruptions`, () => {
      const wanted = { 'app.kubernetes.io/component': role }
      assert.deepEqual(spec.selector?.matchLabels, wanted)
      assert.deepEqual(spec.template.metadata?.labels, wanted)
      const budget = ofKind('PodDisruptionBudget').find(({ metadata }) => metadata.name === `rowmill-${role}`)
      assert.deepEqual(budget?.spec.selector.matchLabels, wanted)
    })

    test(`${role}: has as many as it says, or as its load asks for`, () => {
      const scaled = ofKind('HorizontalPodAutoscaler').filter(
        ({ spec: { scaleTargetRef } }) => scaleTargetRef.name === deployment.metadata.name,
      )
      assert.equal(scaled.length === 1, spec.replicas === undefined)
      for (const { spec: bounds } of scaled) assert.ok(bounds.minReplicas < bounds.maxReplicas)
    })

    test(`${role}: leaves memory above its largest buffers`, () => {
      const [, number = '', unit] = /^(\d+)(Mi|Gi)$/.exec(container.resources?.limits.memory ?? '') ?? []
      const bytes = Number(number) * (unit === 'Gi' ? 1024 ** 3 : 1024 ** 2)
      assert.ok(bytes >= defaults.http.inFlightBytesMax + 500_000_000)
    })
  }

  test('ingest has no more pods than there are partitions', () => {
    const replicas = roles.find((one) => roleOf(one) === 'ingest')?.spec.replicas ?? 0
    assert.ok(replicas <= defaults.log.capturedPartitions)
    const overlay = readKustomization('example')
    const count = overlay.replicas?.find(({ name }) => name === 'rowmill-ingest')?.count ?? 0
    assert.ok(count <= Number(literals('example').ROWMILL_LOG_CAPTURED_PARTITIONS))
  })
})

suite('the ways in', () => {
  test('services lead to the port of the pods', () => {
    for (const { spec } of ofKind('Service'))
      assert.deepEqual(spec.ports, [{ name: 'http', port: defaults.port, targetPort: 'http' }])
  })

  test('the ingress leads to services that there are, and not to status pages', () => {
    const services = ofKind('Service', 'fleet').map(({ metadata }) => metadata.name)
    const paths = ofKind('Ingress').flatMap(({ spec }) => spec.rules.flatMap(({ http }) => http.paths))
    assert.deepEqual(
      paths.filter(({ backend }) => !services.includes(backend.service.name)),
      [],
    )
    const reached = (asked: string): boolean =>
      paths.some(({ path }) => asked === path || asked.startsWith(`${path}/`))
    assert.deepEqual(['/metrics', '/_readiness', '/_liveness'].filter(reached), [])
    assert.deepEqual(
      ['/e', '/i/v0/e', '/batch', '/s', '/array/phc_x/config', '/api/projects'].filter(
        (path) => !reached(path),
      ),
      [],
    )
  })
})

test('the example of a secret has settings only, and none of its passwords is one', () => {
  assert.deepEqual(unknownVariables(Object.keys(secret.stringData)), [])
  for (const [name, value] of Object.entries(secret.stringData))
    if (isSecret(name)) assert.match(value, /CHANGE-ME/, name)
})
