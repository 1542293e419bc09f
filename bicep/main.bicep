// An event store on Azure: the Cosmos DB account with its containers, the service and the worker as container apps,
// the function app, and what watches them. One resource group, no keys: every connection goes by managed identity.
//
// Nothing here was ever deployed; docs/bicep.md says what was checked and how, and what it costs in words.

targetScope = 'resourceGroup'

@description('Name of this environment, part of the names of all resources and of the tag azd-env-name.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region of everything, and the one write region of the Cosmos DB account.')
param location string = resourceGroup().location

@description('Tags for every resource, besides those that azd needs.')
param tags object = {}

@description('Name of the database: setting `database` of the programs.')
param databaseName string = 'event-store'

@description('How the account is paid: serverless (per request, one region only) or autoscale (per hour, by the most that was used).')
@allowed([
  'serverless'
  'autoscale'
])
param capacityMode string = 'serverless'

@description('With autoscale: the most request units per second that the containers share. At least 1000.')
@minValue(1000)
param autoscaleMaxThroughput int = 1000

@description('With autoscale: the most request units per second of `events` alone; 0 means that it shares those of the database.')
@minValue(0)
param eventsMaxThroughput int = 0

@description('A second region for reads, with autoscale only (a serverless account has one region). Empty: none.')
param readRegion string = ''

@description('Whether the service may move the write region to the read region by itself. What was acknowledged and not yet replicated may be lost then; docs/bicep.md has the reasons for false.')
param automaticFailover bool = false

@description('Whether the account, the storage account, the function plan and (with privateNetworking) the apps are spread over zones. Fails where a region has no zonal capacity left.')
param zoneRedundant bool = false

@description('How far back the account can be restored.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param backupTier string = 'Continuous7Days'

@description('Whether Cosmos DB and storage are reached through private endpoints only. Can be set at the first deployment only, because the apps cannot be moved into a network later.')
param privateNetworking bool = false

@description('Whether the container apps `api` and `worker` and their environment are made.')
param containerApps bool = true

@description('Whether the function app, its plan and its storage account are made.')
param functionApp bool = true

@description('Whether a container registry is made, from which the apps may pull. Without one the image must be public.')
param createRegistry bool = true

@description('Image of both apps, with registry and tag or digest. Empty at the first deployment: then the apps are left out, because there is nothing to run yet.')
param containerImage string = ''

@description('Image of the worker, where it differs. Empty: that of containerImage.')
param workerImage string = ''

@description('What workers do with events: views, count, stdout or a URL (setting `worker-to`).')
param workerTo string = 'views'

@description('Least number of replicas of the service.')
@minValue(0)
param apiMinReplicas int = 1

@description('Most replicas of the service.')
@minValue(1)
param apiMaxReplicas int = 3

@description('Most replicas of the worker; the least is one. More than one need lagScaleKey, since nothing else adds replicas.')
@minValue(1)
param workerMaxReplicas int = 3

@description('Processor whose lag adds workers: NAME@VERSION of a read model, or the name that workers with another workerTo have.')
param lagScaleProcessor string = 'stream-summary@1'

@description('Transactions behind, per worker, above which a worker is added.')
@minValue(1)
param lagScaleTarget int = 1000

@description('Access key with the scope `admin`, with which the autoscaler reads the lag from the service. Give it in accessKeys, too. Empty: one worker.')
@secure()
param lagScaleKey string = ''

@description('Tenant whose tokens the service accepts (setting `entra-tenant`).')
param entraTenant string = tenant().tenantId

@description('Audience of the tokens that the service accepts: the application id, or its URI (setting `entra-audience`).')
@minLength(1)
param entraAudience string

@description('Access keys of the service besides tokens, as JSON (setting `access-keys`). Empty: tokens only. These are not keys of Cosmos DB, which has none here.')
@secure()
param accessKeys string = ''

@description('Collector to which traces and metrics are sent by OTLP over HTTP (setting `otlp-endpoint`). Empty: none.')
param otlpEndpoint string = ''

@description('Object id of a person or group that may read and write the data, for `cosmos-es` from a desk. Empty: nobody.')
param operatorPrincipalId string = ''

@description('Memory of an instance of the function app, in MB.')
@allowed([
  512
  2048
  4096
])
param functionMemoryMB int = 2048

@description('Most instances of the function app.')
@minValue(40)
@maxValue(1000)
param functionMaximumInstances int = 40

@description('When the function app works off the change feed: six fields of NCRONTAB (app setting PUMP_SCHEDULE).')
param pumpSchedule string = '0 * * * * *'

@description('When the function app reports the lag: six fields of NCRONTAB (app setting LAG_SCHEDULE).')
param lagSchedule string = '0 * * * * *'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Where alerts are sent. Empty: they are seen in the portal only.')
param alertEmail string = ''

@description('Lag in seconds above which an alert is raised.')
@minValue(1)
param lagAlertSeconds int = 300

@description('Throttled requests (status 429) in five minutes above which an alert is raised.')
@minValue(0)
param throttleAlertCount int = 100

// The same inputs give the same names, so a deployment can be repeated.
var token = uniqueString(resourceGroup().id, environmentName, location)
var allTags = union(tags, { 'azd-env-name': environmentName })
var privateStorage = functionApp && privateNetworking ? ['blob', 'queue', 'table'] : []
// There is nothing to start before an image was pushed.
var hasApps = containerApps && !empty(containerImage)

// One identity per host, so that each can be taken away alone.
resource appsIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (containerApps) {
  name: 'id-apps-${token}'
  location: location
  tags: allTags
}

resource functionsIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (functionApp) {
  name: 'id-functions-${token}'
  location: location
  tags: allTags
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    location: location
    tags: allTags
    token: token
    retentionDays: logRetentionDays
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  params: {
    location: location
    tags: allTags
    token: token
    workspaceId: monitoring.outputs.workspaceId
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  params: {
    location: location
    tags: allTags
    accountName: 'cosmos-${token}'
    databaseName: databaseName
    capacityMode: capacityMode
    autoscaleMaxThroughput: autoscaleMaxThroughput
    eventsMaxThroughput: eventsMaxThroughput
    readRegion: readRegion
    automaticFailover: automaticFailover
    zoneRedundant: zoneRedundant
    backupTier: backupTier
    publicAccess: !privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module appsAccess 'modules/cosmos-access.bicep' = if (containerApps) {
  name: 'access-apps'
  params: {
    accountName: cosmos.outputs.accountName
    databaseName: cosmos.outputs.databaseName
    principalId: appsIdentity!.properties.principalId
  }
}

module functionsAccess 'modules/cosmos-access.bicep' = if (functionApp) {
  name: 'access-functions'
  params: {
    accountName: cosmos.outputs.accountName
    databaseName: cosmos.outputs.databaseName
    principalId: functionsIdentity!.properties.principalId
  }
}

module operatorAccess 'modules/cosmos-access.bicep' = if (!empty(operatorPrincipalId)) {
  name: 'access-operator'
  params: {
    accountName: cosmos.outputs.accountName
    databaseName: cosmos.outputs.databaseName
    principalId: operatorPrincipalId
  }
}

module cosmosEndpoint 'modules/private-endpoint.bicep' = if (privateNetworking) {
  name: 'endpoint-cosmos'
  params: {
    name: 'pe-cosmos-${token}'
    location: location
    tags: allTags
    subnetId: network!.outputs.endpointsSubnetId
    targetId: cosmos.outputs.accountId
    groupId: 'Sql'
    zoneId: network!.outputs.cosmosZoneId
  }
}

module registry 'modules/registry.bicep' = if (containerApps && createRegistry) {
  name: 'registry'
  params: {
    location: location
    tags: allTags
    registryName: 'cr${token}'
    pullPrincipalId: appsIdentity!.properties.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module environment 'modules/environment.bicep' = if (containerApps) {
  name: 'environment'
  params: {
    location: location
    tags: allTags
    token: token
    subnetId: privateNetworking ? network!.outputs.appsSubnetId : ''
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module apps 'modules/container-apps.bicep' = if (hasApps) {
  name: 'apps'
  params: {
    location: location
    tags: allTags
    token: token
    environmentId: environment!.outputs.environmentId
    defaultDomain: environment!.outputs.defaultDomain
    identityId: appsIdentity!.id
    clientId: appsIdentity!.properties.clientId
    registryServer: createRegistry ? registry!.outputs.loginServer : ''
    apiImage: containerImage
    workerImage: empty(workerImage) ? containerImage : workerImage
    cosmosEndpoint: cosmos.outputs.endpoint
    databaseName: cosmos.outputs.databaseName
    workerTo: workerTo
    apiMinReplicas: apiMinReplicas
    apiMaxReplicas: apiMaxReplicas
    workerMaxReplicas: workerMaxReplicas
    lagScaleProcessor: lagScaleProcessor
    lagScaleTarget: lagScaleTarget
    lagScaleKey: lagScaleKey
    entraTenant: entraTenant
    entraAudience: entraAudience
    accessKeys: accessKeys
    otlpEndpoint: otlpEndpoint
  }
  // The programs look for their containers when they start.
  dependsOn: [
    appsAccess
    cosmosEndpoint
  ]
}

module storage 'modules/storage.bicep' = if (functionApp) {
  name: 'storage'
  params: {
    location: location
    tags: allTags
    accountName: 'st${token}'
    principalId: functionsIdentity!.properties.principalId
    zoneRedundant: zoneRedundant
    publicAccess: !privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

// The Functions host keeps its keys and leases in blobs, and may use queues and tables. The order is that of the zones.
module storageEndpoints 'modules/private-endpoint.bicep' = [for (service, index) in privateStorage: {
  name: 'endpoint-${service}'
  params: {
    name: 'pe-${service}-${token}'
    location: location
    tags: allTags
    subnetId: network!.outputs.endpointsSubnetId
    targetId: storage!.outputs.accountId
    groupId: service
    zoneId: network!.outputs.storageZoneIds[index]
  }
}]

module functions 'modules/function-app.bicep' = if (functionApp) {
  name: 'functions'
  params: {
    location: location
    tags: allTags
    token: token
    identityId: functionsIdentity!.id
    clientId: functionsIdentity!.properties.clientId
    principalId: functionsIdentity!.properties.principalId
    storageName: storage!.outputs.accountName
    packagesUrl: storage!.outputs.packagesUrl
    insightsName: monitoring.outputs.insightsName
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    workspaceId: monitoring.outputs.workspaceId
    subnetId: privateNetworking ? network!.outputs.functionsSubnetId : ''
    zoneRedundant: zoneRedundant
    memoryMB: functionMemoryMB
    maximumInstances: functionMaximumInstances
    cosmosEndpoint: cosmos.outputs.endpoint
    databaseName: cosmos.outputs.databaseName
    entraTenant: entraTenant
    entraAudience: entraAudience
    pumpSchedule: pumpSchedule
    lagSchedule: lagSchedule
  }
  dependsOn: [
    functionsAccess
    cosmosEndpoint
    storageEndpoints
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: allTags
    token: token
    workspaceId: monitoring.outputs.workspaceId
    cosmosAccountId: cosmos.outputs.accountId
    email: alertEmail
    lagSeconds: lagAlertSeconds
    throttleCount: throttleAlertCount
    // Until something can run, silence is not a failure. The function app counts before it has its first package, too.
    watchSilence: hasApps || functionApp
    functionAppName: functionApp ? functions!.outputs.name : ''
  }
}

// azd writes outputs in upper case into its environment file.
@description('Endpoint of the Cosmos DB account.')
output COSMOS_ES_ENDPOINT string = cosmos.outputs.endpoint

@description('Name of the database.')
output COSMOS_ES_DATABASE string = cosmos.outputs.databaseName

@description('Name of the Cosmos DB account.')
output AZURE_COSMOS_ACCOUNT_NAME string = cosmos.outputs.accountName

@description('Registry to push the image to; empty without one.')
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = containerApps && createRegistry ? registry!.outputs.loginServer : ''

@description('Environment of the container apps; empty without them.')
output AZURE_CONTAINER_ENVIRONMENT_NAME string = containerApps ? environment!.outputs.name : ''

@description('URL of the service; empty until an image was given.')
output SERVICE_API_URI string = hasApps ? apps!.outputs.apiUrl : ''

@description('Name of the function app; empty without one.')
output AZURE_FUNCTION_APP_NAME string = functionApp ? functions!.outputs.name : ''

@description('URL of the function app; empty without one.')
output SERVICE_FUNCTIONS_URI string = functionApp ? functions!.outputs.url : ''

@description('Storage account of the function app; empty without one.')
output AZURE_STORAGE_ACCOUNT_NAME string = functionApp ? storage!.outputs.accountName : ''

@description('Workspace with all logs.')
output AZURE_LOG_ANALYTICS_WORKSPACE_NAME string = monitoring.outputs.workspaceName
