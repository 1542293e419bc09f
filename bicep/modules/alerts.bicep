// Alerts: feeds that fall behind, are silent or have streams set aside; throttling; failed invocations.
//
// The lag comes from the line `feed lag` that every host of processors logs once a minute as JSON. Container apps write it
// to ContainerAppConsoleLogs; the Functions host copies it to AppTraces.

@description('Azure region.')
param location string

@description('Tags for every resource.')
param tags object

@description('Part of the names.')
param token string

@description('Workspace with the logs.')
param workspaceId string

@description('Cosmos DB account.')
param cosmosAccountId string

@description('Where alerts are sent. Empty: nowhere.')
param email string

@description('Lag in seconds that is too much.')
param lagSeconds int

@description('Throttled requests in five minutes that are too many.')
param throttleCount int

@description('Whether silence is a failure.')
param watchSilence bool

@description('Function app whose failed invocations count. Empty: none.')
param functionAppName string

var lagLines = '''
union isfuzzy=true
  (ContainerAppConsoleLogs | project TimeGenerated, Line = tostring(Log)),
  (AppTraces | project TimeGenerated, Line = tostring(Message))
| where Line has "feed lag"
| extend Entry = parse_json(Line)
| where tostring(Entry.target) == "cosmos_event_store::lag"
| project TimeGenerated,
    Processor = tostring(Entry.processor),
    LagSeconds = todouble(Entry.lag_seconds),
    Parked = toint(Entry.parked),
    Stalled = toint(Entry.stalled)
'''
var actionGroupIds = empty(email) ? [] : [group.id]

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'eventstore'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource lag 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'feed-lag-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'A processor is behind'
    description: 'A change-feed processor has been too many seconds behind for two periods of five minutes.'
    severity: 2
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    autoMitigate: true
    // A new workspace has no such lines, and some of the tables not either.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: lagLines
          metricMeasureColumn: 'LagSeconds'
          timeAggregation: 'Minimum'
          operator: 'GreaterThan'
          threshold: lagSeconds
          dimensions: [
            {
              name: 'Processor'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 2
            minFailingPeriodsToAlert: 2
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

resource parked 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'parked-streams-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Streams are set aside, or ranges are stalled'
    description: 'A processor has parked streams or stalled ranges, which get no further until somebody looks: `cosmos-es parked` and `cosmos-es lag` show them.'
    severity: 1
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${lagLines}| extend Stuck = Parked + Stalled | where Stuck > 0'
          metricMeasureColumn: 'Stuck'
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'Processor'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

resource silence 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = if (watchSilence) {
  name: 'feed-silent-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'No processor reports'
    description: 'No host of processors has logged its lag for fifteen minutes: none runs, or none can reach the store.'
    severity: 1
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: lagLines
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

resource failures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = if (!empty(functionAppName)) {
  name: 'failed-invocations-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Invocations fail'
    description: 'Invocations of the function app have failed.'
    severity: 2
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'AppRequests | where AppRoleName =~ "${functionAppName}" and Success == false'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'OperationName'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 2
            minFailingPeriodsToAlert: 2
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

resource throttling 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'throttling-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Cosmos DB refuses requests with 429: more throughput is needed, or one partition is hot.'
    severity: 2
    enabled: true
    scopes: [
      cosmosAccountId
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
          metricName: 'TotalRequests'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: throttleCount
          dimensions: [
            {
              name: 'StatusCode'
              operator: 'Include'
              values: [
                '429'
              ]
            }
          ]
        }
      ]
    }
    actions: empty(email) ? [] : [
      {
        actionGroupId: group.id
      }
    ]
  }
}
