// A small environment to try things in: paid per request, one replica of everything, public endpoints.
// main.dev.parameters.json has the same values for tools that read JSON only.
using './main.bicep'

param environmentName = 'dev'
param capacityMode = 'serverless'
param backupTier = 'Continuous7Days'
param apiMinReplicas = 0
param apiMaxReplicas = 1
// The application id, or the URI, of the registration whose tokens the service accepts.
param entraAudience = 'api://cosmos-event-store-dev'
