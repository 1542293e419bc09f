// The Cosmos DB account, the database and its containers.
//
// The containers must be what `cosmos-es provision` wants: a test compares them. Partition keys, unique keys and the
// account's capabilities cannot be changed later.

@description('Azure region, the one write region.')
param location string

@description('Tags for the account.')
param tags object

@description('Name of the account.')
param accountName string

@description('Name of the database.')
param databaseName string

@description('serverless or autoscale.')
@allowed([
  'serverless'
  'autoscale'
])
param capacityMode string

@description('With autoscale: the most request units per second that the containers share.')
param autoscaleMaxThroughput int

@description('With autoscale: the most request units per second of `events` alone; 0: it shares.')
param eventsMaxThroughput int

@description('A second region for reads. Empty: none.')
param readRegion string

@description('Whether the service may move the write region by itself.')
param automaticFailover bool

@description('Whether replicas are spread over zones.')
param zoneRedundant bool

@description('How far back the account can be restored.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param backupTier string

@description('Whether the account can be reached from public networks.')
param publicAccess bool

@description('Workspace for logs.')
param workspaceId string

var isServerless = capacityMode == 'serverless'
var writeLocation = {
  locationName: location
  failoverPriority: 0
  isZoneRedundant: zoneRedundant
}
var readLocation = {
  locationName: readRegion
  failoverPriority: 1
  isZoneRedundant: zoneRedundant
}
var serverless = {
  name: 'EnableServerless'
}

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' = {
  name: accountName
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: isServerless ? [serverless] : []
    locations: empty(readRegion) ? [writeLocation] : [writeLocation, readLocation]
    // A stream without gaps needs one writer of each partition: with several write regions two appends could both win.
    enableMultipleWriteLocations: false
    // Below strong consistency a fail-over loses what was not replicated yet, although it was acknowledged. A person
    // who knows that decides, unless the deployment says otherwise.
    enableAutomaticFailover: automaticFailover
    consistencyPolicy: {
      defaultConsistencyLevel: 'Session'
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: backupTier
      }
    }
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-10-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: {
      id: databaseName
    }
    // A serverless account refuses any throughput.
    options: isServerless ? null : {
      autoscaleSettings: {
        maxThroughput: autoscaleMaxThroughput
      }
    }
  }

  resource events 'containers' = {
    name: 'events'
    properties: {
      resource: {
        id: 'events'
        partitionKey: {
          paths: [
            '/aggregateId'
          ]
          kind: 'Hash'
          version: 2
        }
        uniqueKeyPolicy: {
          uniqueKeys: [
            {
              paths: [
                '/eventId'
              ]
            }
          ]
        }
        // No `defaultTtl`: an event never expires.
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/aggregateId/?'
            }
            {
              path: '/eventId/?'
            }
            {
              path: '/sequenceNumber/?'
            }
          ]
          excludedPaths: [
            {
              path: '/*'
            }
          ]
        }
      }
      options: isServerless || eventsMaxThroughput == 0 ? null : {
        autoscaleSettings: {
          maxThroughput: eventsMaxThroughput
        }
      }
    }
  }

  resource snapshots 'containers' = {
    name: 'snapshots'
    properties: {
      resource: {
        id: 'snapshots'
        partitionKey: {
          paths: [
            '/aggregateId'
          ]
          kind: 'Hash'
          version: 2
        }
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/aggregateId/?'
            }
          ]
          excludedPaths: [
            {
              path: '/*'
            }
          ]
        }
      }
    }
  }

  // More included paths are fine here: views may declare their own. Never remove one of these.
  resource readModels 'containers' = {
    name: 'read-models'
    properties: {
      resource: {
        id: 'read-models'
        partitionKey: {
          paths: [
            '/partitionKey'
          ]
          kind: 'Hash'
          version: 2
        }
        // Each document says whether and when it expires.
        defaultTtl: -1
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/partitionKey/?'
            }
            {
              path: '/kind/?'
            }
            {
              path: '/sort/*'
            }
          ]
          excludedPaths: [
            {
              path: '/*'
            }
          ]
        }
      }
    }
  }

  resource leases 'containers' = {
    name: 'leases'
    properties: {
      resource: {
        id: 'leases'
        partitionKey: {
          paths: [
            '/processor'
          ]
          kind: 'Hash'
          version: 2
        }
        defaultTtl: -1
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/processor/?'
            }
          ]
          excludedPaths: [
            {
              path: '/*'
            }
          ]
        }
      }
    }
  }

  // The leases of the Functions trigger, which only wakes the function app up; the trigger cannot make this container
  // with an identity, and wants `/id` as its key. `provision` knows nothing of it.
  resource wakeupLeases 'containers' = {
    name: 'wakeup-leases'
    properties: {
      resource: {
        id: 'wakeup-leases'
        partitionKey: {
          paths: [
            '/id'
          ]
          kind: 'Hash'
          version: 2
        }
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/*'
            }
          ]
        }
      }
    }
  }
}

// Requests of the data plane are not logged: a line for each would cost more than the request, and name streams.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Requests'
        enabled: true
      }
    ]
  }
}

output accountId string = account.id
output accountName string = account.name
output endpoint string = account.properties.documentEndpoint
// Whoever takes the name from here waits for the containers.
output databaseName string = database.name
