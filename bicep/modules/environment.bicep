// The environment of the container apps. Its logs go to the workspace through a diagnostic setting, because the other
// way needs the workspace's key.

@description('Azure region.')
param location string

@description('Tags for the environment.')
param tags object

@description('Part of the names.')
param token string

@description('Subnet of the apps. Empty: the network that the platform brings.')
param subnetId string

@description('Whether apps are spread over zones; the platform does that in a subnet only.')
param zoneRedundant bool

@description('Workspace for logs.')
param workspaceId string

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'cae-${token}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    vnetConfiguration: empty(subnetId) ? null : {
      infrastructureSubnetId: subnetId
      internal: false
    }
    zoneRedundant: zoneRedundant && !empty(subnetId)
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: environment
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        categoryGroup: 'allLogs'
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

output environmentId string = environment.id
output name string = environment.name
output defaultDomain string = environment.properties.defaultDomain
