// The function app: HTTP, a timer that works off the change feed, a wake-up by the Cosmos DB trigger, and a timer for the
// lag; `cosmos-es functions` as a custom handler on the Flex Consumption plan.

@description('Azure region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Part of the names.')
param token string

@description('Resource id of the identity of the app.')
param identityId string

@description('Client id of that identity.')
param clientId string

@description('Object id of that identity.')
param principalId string

@description('Storage account of the host.')
param storageName string

@description('URL of the blob container with the packages.')
param packagesUrl string

@description('Application Insights resource.')
param insightsName string

@description('Where telemetry is sent; no secret, since the resource accepts tokens only.')
param insightsConnectionString string

@description('Workspace for logs.')
param workspaceId string

@description('Subnet for connections that go out. Empty: none.')
param subnetId string

@description('Whether instances are spread over zones.')
param zoneRedundant bool

@description('Memory of an instance, in MB.')
param memoryMB int

@description('Most instances.')
param maximumInstances int

@description('Endpoint of the Cosmos DB account.')
param cosmosEndpoint string

@description('Name of the database.')
param databaseName string

@description('Tenant whose tokens are accepted.')
param entraTenant string

@description('Audience of the tokens that are accepted.')
param entraAudience string

@description('When the change feed is worked off.')
param pumpSchedule string

@description('When the lag is reported.')
param lagSchedule string

var appName = 'func-${token}'
// Monitoring Metrics Publisher.
var publisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, publisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisher)
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  tags: union(tags, { 'azd-service-name': 'functions' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: memoryMB
        maximumInstanceCount: maximumInstances
      }
      // '1.0' is what others give for a custom handler; whether the platform reads it is not documented.
      runtime: {
        name: 'custom'
        version: '1.0'
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      // Neither FUNCTIONS_WORKER_RUNTIME nor FUNCTIONS_EXTENSION_VERSION: on this plan the platform sets both.
      appSettings: [
        {
          name: 'AzureWebJobsStorage__blobServiceUri'
          value: 'https://${storageName}.blob.${environment().suffixes.storage}'
        }
        {
          name: 'AzureWebJobsStorage__queueServiceUri'
          value: 'https://${storageName}.queue.${environment().suffixes.storage}'
        }
        {
          name: 'AzureWebJobsStorage__tableServiceUri'
          value: 'https://${storageName}.table.${environment().suffixes.storage}'
        }
        {
          name: 'AzureWebJobsStorage__credential'
          value: 'managedidentity'
        }
        {
          name: 'AzureWebJobsStorage__clientId'
          value: clientId
        }
        {
          name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
          value: insightsConnectionString
        }
        {
          name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
          value: 'ClientId=${clientId};Authorization=AAD'
        }
        {
          name: 'CosmosEvents__accountEndpoint'
          value: cosmosEndpoint
        }
        {
          name: 'CosmosEvents__credential'
          value: 'managedidentity'
        }
        {
          name: 'CosmosEvents__clientId'
          value: clientId
        }
        {
          name: 'PUMP_SCHEDULE'
          value: pumpSchedule
        }
        {
          name: 'LAG_SCHEDULE'
          value: lagSchedule
        }
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
          name: 'COSMOS_ES_ACCESS'
          value: 'entra'
        }
        {
          name: 'COSMOS_ES_ENTRA_TENANT'
          value: entraTenant
        }
        {
          name: 'COSMOS_ES_ENTRA_AUDIENCE'
          value: entraAudience
        }
        {
          name: 'COSMOS_ES_HOSTS'
          value: '${appName}.azurewebsites.net'
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
    }
  }
  // Without the right to publish, the first telemetry would be refused.
  dependsOn: [
    publish
  ]

  // Packages are deployed with tokens; passwords are not for anybody.
  resource ftpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }

  resource scmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
    // Two changes of one app at a time would conflict.
    dependsOn: [
      ftpPassword
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
