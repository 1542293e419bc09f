// The service and the worker, from one image: `cosmos-es serve` and `cosmos-es worker`.

@description('Azure region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Part of the names.')
param token string

@description('Environment of the apps.')
param environmentId string

@description('Domain below which the environment names its apps.')
param defaultDomain string

@description('Resource id of the identity of the apps.')
param identityId string

@description('Client id of that identity.')
param clientId string

@description('Registry that the identity may pull from. Empty: the image is public.')
param registryServer string

@description('Image of the service.')
param apiImage string

@description('Image of the worker.')
param workerImage string

@description('Endpoint of the Cosmos DB account.')
param cosmosEndpoint string

@description('Name of the database.')
param databaseName string

@description('What workers do with events.')
param workerTo string

@description('Least number of replicas of the service.')
param apiMinReplicas int

@description('Most replicas of the service.')
param apiMaxReplicas int

@description('Most replicas of the worker.')
param workerMaxReplicas int

@description('Processor whose lag adds workers.')
param lagScaleProcessor string

@description('Transactions behind, per worker, above which a worker is added.')
param lagScaleTarget int

@description('Access key with the scope `admin` for the autoscaler. Empty: one worker.')
@secure()
param lagScaleKey string

@description('Tenant whose tokens are accepted.')
param entraTenant string

@description('Audience of the tokens that are accepted.')
param entraAudience string

@description('Access keys besides tokens, as JSON. Empty: none.')
@secure()
param accessKeys string

@description('Collector for traces and metrics. Empty: none.')
param otlpEndpoint string

var apiName = 'api-${token}'
var apiHost = '${apiName}.${defaultDomain}'
var registries = empty(registryServer) ? [] : [
  {
    server: registryServer
    identity: identityId
  }
]
// The probes come from the platform by address; the programs answer for names that they know.
var probeHeaders = [
  {
    name: 'Host'
    value: 'localhost'
  }
]
var storeSettings = [
  {
    name: 'COSMOS_ES_ENDPOINT'
    value: cosmosEndpoint
  }
  {
    name: 'COSMOS_ES_DATABASE'
    value: databaseName
  }
  {
    name: 'COSMOS_ES_REGION'
    value: location
  }
  {
    name: 'COSMOS_ES_CREDENTIAL'
    value: 'managed-identity'
  }
  {
    name: 'COSMOS_ES_CLIENT_ID'
    value: clientId
  }
  {
    name: 'COSMOS_ES_LOG_FORMAT'
    value: 'json'
  }
  // The life cycle, and the lines that the alerts read.
  {
    name: 'COSMOS_ES_VERBOSE'
    value: '1'
  }
]
var telemetrySettings = empty(otlpEndpoint) ? [] : [
  {
    name: 'COSMOS_ES_OTLP_ENDPOINT'
    value: otlpEndpoint
  }
]
var keySettings = empty(accessKeys) ? [] : [
  {
    name: 'COSMOS_ES_ACCESS_KEYS'
    secretRef: 'access-keys'
  }
]
// Both programs listen for more than their own container, so both ask who is there.
var tokenSettings = [
  {
    name: 'COSMOS_ES_ENTRA_TENANT'
    value: entraTenant
  }
  {
    name: 'COSMOS_ES_ENTRA_AUDIENCE'
    value: entraAudience
  }
]
var apiSettings = [
  {
    name: 'COSMOS_ES_ACCESS'
    value: empty(accessKeys) ? 'entra' : 'keys,entra'
  }
  {
    name: 'COSMOS_ES_LISTEN'
    value: '0.0.0.0:8080'
  }
  {
    name: 'COSMOS_ES_HOSTS'
    value: apiHost
  }
  // The worker is an app of its own here.
  {
    name: 'COSMOS_ES_WORKER_TO'
    value: 'none'
  }
]
var workerSettings = [
  {
    name: 'COSMOS_ES_ACCESS'
    value: 'entra'
  }
  {
    name: 'COSMOS_ES_WORKER_TO'
    value: workerTo
  }
  {
    name: 'COSMOS_ES_WORKER_METRICS'
    value: '0.0.0.0:9464'
  }
]

resource api 'Microsoft.App/containerApps@2025-07-01' = {
  name: apiName
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 8080
        transport: 'auto'
        allowInsecure: false
      }
      registries: registries
      secrets: empty(accessKeys) ? [] : [
        {
          name: 'access-keys'
          value: accessKeys
        }
      ]
    }
    template: {
      // Requests end within this time before the process is killed.
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'api'
          image: apiImage
          args: [
            'serve'
          ]
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: concat(storeSettings, telemetrySettings, tokenSettings, keySettings, apiSettings)
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: 8080
                httpHeaders: probeHeaders
              }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: 8080
                httpHeaders: probeHeaders
              }
              periodSeconds: 10
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 8080
                httpHeaders: probeHeaders
              }
              periodSeconds: 5
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: apiMinReplicas
        maxReplicas: apiMaxReplicas
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '50'
              }
            }
          }
        ]
      }
    }
  }
}

resource worker 'Microsoft.App/containerApps@2025-07-01' = {
  name: 'worker-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'worker' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      registries: registries
      secrets: empty(lagScaleKey) ? [] : [
        {
          name: 'lag-scale-key'
          value: lagScaleKey
        }
      ]
    }
    template: {
      // A worker finishes its batches and gives its leases back within this time; killed, others wait for them to lapse.
      terminationGracePeriodSeconds: 120
      containers: [
        {
          name: 'worker'
          image: workerImage
          args: [
            'worker'
          ]
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: concat(storeSettings, telemetrySettings, tokenSettings, workerSettings)
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: 9464
                httpHeaders: probeHeaders
              }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: 9464
                httpHeaders: probeHeaders
              }
              periodSeconds: 10
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 9464
                httpHeaders: probeHeaders
              }
              periodSeconds: 10
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        // Events come without a request, so there is always one worker.
        minReplicas: 1
        maxReplicas: empty(lagScaleKey) ? 1 : workerMaxReplicas
        rules: empty(lagScaleKey) ? [] : [
          {
            name: 'lag'
            custom: {
              type: 'metrics-api'
              metadata: {
                url: 'https://${apiHost}/lag/${lagScaleProcessor}'
                valueLocation: 'lagTransactions'
                targetValue: string(lagScaleTarget)
                authMode: 'bearer'
              }
              auth: [
                {
                  secretRef: 'lag-scale-key'
                  triggerParameter: 'token'
                }
              ]
            }
          }
        ]
      }
    }
  }
}

output apiUrl string = 'https://${api.properties.configuration.ingress.fqdn}'
output apiName string = api.name
output workerName string = worker.name
