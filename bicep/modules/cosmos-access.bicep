// One data-plane role assignment: read and write the documents of one database, and nothing else of the account.
//
// The scope is the database, because a host uses all containers of the store, and reads their properties; the Functions
// trigger reads `events` and writes `wakeup-leases`, which are both in this database, so it needs no more.

@description('Name of the account.')
param accountName string

@description('Name of the database.')
param databaseName string

@description('Object id of whom is let in.')
param principalId string

// Cosmos DB Built-in Data Contributor: documents and their metadata; neither containers nor throughput.
var dataContributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: accountName
}

resource assignment 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(account.id, databaseName, principalId, dataContributor)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    scope: '${account.id}/dbs/${databaseName}'
  }
}
