// An environment that is meant to stay: throughput by the hour, private endpoints, thirty days of backup.
// main.prod.parameters.json has the same values for tools that read JSON only.
using './main.bicep'

param environmentName = 'prod'
param capacityMode = 'autoscale'
param autoscaleMaxThroughput = 4000
param eventsMaxThroughput = 10000
param backupTier = 'Continuous30Days'
param privateNetworking = true
// Set this to true where the region has the capacity; docs/bicep.md says what then fails where it has not.
param zoneRedundant = false
// The worker among the container apps does all that the function app does.
param functionApp = false
param apiMinReplicas = 2
param apiMaxReplicas = 10
param logRetentionDays = 90
// The application id, or the URI, of the registration whose tokens the service accepts.
param entraAudience = 'api://cosmos-event-store'
