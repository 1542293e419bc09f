//! An event store on Azure Cosmos DB for NoSQL.
#![forbid(unsafe_code)]
