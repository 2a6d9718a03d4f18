/**
 * The parts of Kubernetes' objects that our manifests use, described in our words: a misspelt field or a value of the
 * wrong kind does not parse. Objects that a kustomization lays over others are parts of objects.
 */
import { z } from 'zod'

const labels = z.record(z.string(), z.string())
const metadata = z.strictObject({
  name: z.string(),
  labels: labels.optional(),
  annotations: labels.optional(),
})
const quantity = z.string().regex(/^\d+(\.\d+)?(m|Ki|Mi|Gi)?$/)
const selector = z.strictObject({ matchLabels: labels.optional() })
const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.literal('http') }),
  initialDelaySeconds: z.number().int().optional(),
  periodSeconds: z.number().int(),
  timeoutSeconds: z.number().int(),
  failureThreshold: z.number().int(),
})

const container = z.strictObject({
  name: z.literal('rowmill'),
  image: z.literal('rowmill').optional(),
  args: z.array(z.string()).optional(),
  ports: z.array(z.strictObject({ name: z.string(), containerPort: z.number().int() })).optional(),
  env: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
  envFrom: z
    .array(
      z.union([
        z.strictObject({ configMapRef: z.strictObject({ name: z.string() }) }),
        z.strictObject({ secretRef: z.strictObject({ name: z.string() }) }),
      ]),
    )
    .optional(),
  lifecycle: z
    .strictObject({ preStop: z.strictObject({ exec: z.strictObject({ command: z.array(z.string()) }) }) })
    .optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  resources: z
    .strictObject({
      requests: z.strictObject({ cpu: quantity, memory: quantity }),
      limits: z.strictObject({ memory: quantity }),
    })
    .optional(),
  securityContext: z
    .strictObject({
      allowPrivilegeEscalation: z.literal(false),
      readOnlyRootFilesystem: z.literal(true),
      capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
    })
    .optional(),
  volumeMounts: z.array(z.strictObject({ name: z.string(), mountPath: z.string() })).optional(),
})

const podSpec = z.strictObject({
  enableServiceLinks: z.literal(false).optional(),
  automountServiceAccountToken: z.literal(false).optional(),
  terminationGracePeriodSeconds: z.number().int().optional(),
  securityContext: z
    .strictObject({
      runAsNonRoot: z.literal(true),
      runAsUser: z.number().int(),
      runAsGroup: z.number().int(),
      fsGroup: z.number().int(),
      fsGroupChangePolicy: z.enum(['OnRootMismatch', 'Always']).optional(),
      seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
    })
    .optional(),
  topologySpreadConstraints: z
    .array(
      z.strictObject({
        maxSkew: z.number().int(),
        topologyKey: z.string(),
        whenUnsatisfiable: z.enum(['ScheduleAnyway', 'DoNotSchedule']),
        labelSelector: selector,
        matchLabelKeys: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  containers: z.tuple([container]),
  volumes: z
    .array(z.strictObject({ name: z.string(), emptyDir: z.strictObject({ sizeLimit: quantity }) }))
    .optional(),
})
const template = z.strictObject({
  metadata: z.strictObject({ labels: labels.optional(), annotations: labels.optional() }).optional(),
  spec: podSpec,
})

const port = z.strictObject({ name: z.string(), port: z.number().int(), targetPort: z.string() })
const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata,
  spec: z.strictObject({ selector: labels, ports: z.array(port) }),
})
const deployment = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('Deployment'),
  metadata,
  spec: z.strictObject({
    replicas: z.number().int().optional(),
    revisionHistoryLimit: z.number().int().optional(),
    strategy: z
      .strictObject({
        rollingUpdate: z.strictObject({ maxSurge: z.number().int(), maxUnavailable: z.number().int() }),
      })
      .optional(),
    selector: selector.optional(),
    template,
  }),
})
const statefulSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('StatefulSet'),
  metadata,
  spec: z.strictObject({
    serviceName: z.string(),
    replicas: z.literal(1),
    podManagementPolicy: z.literal('OrderedReady'),
    selector,
    template,
    volumeClaimTemplates: z.array(
      z.strictObject({
        metadata,
        spec: z.strictObject({
          accessModes: z.array(z.literal('ReadWriteOnce')),
          resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
        }),
      }),
    ),
  }),
})
const disruptionBudget = z.strictObject({
  apiVersion: z.literal('policy/v1'),
  kind: z.literal('PodDisruptionBudget'),
  metadata,
  spec: z.strictObject({ maxUnavailable: z.number().int(), selector }),
})
const autoscaler = z.strictObject({
  apiVersion: z.literal('autoscaling/v2'),
  kind: z.literal('HorizontalPodAutoscaler'),
  metadata,
  spec: z.strictObject({
    scaleTargetRef: z.strictObject({
      apiVersion: z.literal('apps/v1'),
      kind: z.literal('Deployment'),
      name: z.string(),
    }),
    minReplicas: z.number().int().min(1),
    maxReplicas: z.number().int(),
    metrics: z.array(
      z.strictObject({
        type: z.literal('Resource'),
        resource: z.strictObject({
          name: z.enum(['cpu', 'memory']),
          target: z.strictObject({ type: z.literal('Utilization'), averageUtilization: z.number().int() }),
        }),
      }),
    ),
    behavior: z.strictObject({
      scaleDown: z.strictObject({ stabilizationWindowSeconds: z.number().int().min(0).max(3600) }),
    }),
  }),
})
const backend = z.strictObject({
  service: z.strictObject({ name: z.string(), port: z.strictObject({ name: z.string() }) }),
})
const ingress = z.strictObject({
  apiVersion: z.literal('networking.k8s.io/v1'),
  kind: z.literal('Ingress'),
  metadata,
  spec: z.strictObject({
    ingressClassName: z.string(),
    tls: z.array(z.strictObject({ hosts: z.array(z.string()), secretName: z.string() })),
    rules: z.array(
      z.strictObject({
        host: z.string(),
        http: z.strictObject({
          paths: z.array(z.strictObject({ path: z.string(), pathType: z.literal('Prefix'), backend })),
        }),
      }),
    ),
  }),
})
const secret = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata,
  type: z.literal('Opaque'),
  stringData: labels,
})

export const kubernetesObject = z.discriminatedUnion('kind', [
  service,
  deployment,
  statefulSet,
  disruptionBudget,
  autoscaler,
  ingress,
  secret,
])
export type KubernetesObject = z.output<typeof kubernetesObject>

export const kustomization = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  namespace: z.string().optional(),
  labels: z.array(z.strictObject({ pairs: labels, includeSelectors: z.boolean() })).optional(),
  resources: z.array(z.string()),
  images: z.array(
    z.strictObject({ name: z.literal('rowmill'), newName: z.string().optional(), newTag: z.string() }),
  ),
  replicas: z.array(z.strictObject({ name: z.string(), count: z.number().int() })).optional(),
  configMapGenerator: z.array(
    z.strictObject({
      name: z.string(),
      behavior: z.literal('merge').optional(),
      literals: z.array(z.string()),
    }),
  ),
  patches: z
    .array(z.strictObject({ path: z.string(), target: z.strictObject({ kind: z.literal('Deployment') }) }))
    .optional(),
})
