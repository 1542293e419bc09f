// One private endpoint, and its name in the DNS zone.

@description('Name of the endpoint.')
param name string

@description('Azure region.')
param location string

@description('Tags for the endpoint.')
param tags object

@description('Subnet in which it stands.')
param subnetId string

@description('Resource that it leads to.')
param targetId string

@description('Part of that resource: Sql, blob, queue or table.')
@allowed([
  'Sql'
  'blob'
  'queue'
  'table'
])
param groupId string

@description('DNS zone that has its name.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }

  resource zones 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: 'zone'
          properties: {
            privateDnsZoneId: zoneId
          }
        }
      ]
    }
  }
}
