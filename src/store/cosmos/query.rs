//! Queries of the events container.

use std::num::NonZeroU32;

use azure_data_cosmos::{
    FeedScope, Query,
    feed::{ContinuationToken, QueryPageIterator},
    options::{MaxItemCountHint, QueryOptions},
};
use futures::StreamExt as _;
use serde_json::value::RawValue;

use super::{
    Answered, Connection, READ_TIME_MAX,
    connection::{failed, operation_options},
    failure::{store_error, usage_of},
};
use crate::{
    event::EventId,
    store::{
        error::StoreError,
        usage::{SessionToken, Usage},
    },
    stream::item_id,
};

/// Which documents of a stream a query takes, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// Whole documents.
    Documents,
    /// Only `id` and `recordedAt`.
    Times,
}

/// What a query ranges over.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// A run of one stream's events, by item ids; ids sort as the numbers do.
    Run { stream: String, from: u64, up_to: Option<u64>, backwards: bool, projection: Projection },
    /// The last event of one stream.
    Last { stream: String },
    /// The first events of all streams.
    FirstEvents,
    /// The sequence numbers of all events.
    Numbers,
    /// The sequence numbers and types of all events.
    Types,
}

impl Scope {
    /// The query's text, its parameters, and the stream that it stays in.
    fn query(&self) -> Result<(Query, FeedScope), azure_data_cosmos::CosmosError> {
        match self {
            Self::Run { stream, from, up_to, backwards, projection } => {
                let fields = match projection {
                    Projection::Documents => "*",
                    Projection::Times => "c.id, c.recordedAt",
                };
                let (from_1, order) = (*from <= 1, if *backwards { " DESC" } else { "" });
                let condition = match (from_1, up_to) {
                    (true, None) => "",
                    (false, None) => " WHERE c.id >= @from",
                    (_, Some(_)) => " WHERE c.id >= @from AND c.id <= @upTo",
                };
                let mut query =
                    Query::from(format!("SELECT {fields} FROM c{condition} ORDER BY c.id{order}"));
                if !condition.is_empty() {
                    query = query.with_parameter("@from", item_id(*from))?;
                }
                if let Some(up_to) = up_to {
                    query = query.with_parameter("@upTo", item_id(*up_to))?;
                }
                Ok((query, FeedScope::partition(stream.clone())))
            }
            Self::Last { stream } => Ok((
                Query::from("SELECT TOP 1 c.id, c.schema FROM c ORDER BY c.id DESC"),
                FeedScope::partition(stream.clone()),
            )),
            Self::FirstEvents => Ok((
                Query::from("SELECT * FROM c WHERE c.sequenceNumber = 1"),
                FeedScope::full_container(),
            )),
            Self::Numbers => Ok((
                Query::from("SELECT VALUE c.sequenceNumber FROM c"),
                FeedScope::full_container(),
            )),
            Self::Types => Ok((
                Query::from("SELECT c.sequenceNumber, c.type FROM c"),
                FeedScope::full_container(),
            )),
        }
    }
}

/// The pages of a query.
pub(crate) struct Pages(QueryPageIterator<Box<RawValue>>);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages(..)")
    }
}

impl Pages {
    /// The next page; nothing at the end.
    pub(crate) async fn next(
        &mut self,
    ) -> Option<Answered<Result<Vec<Box<RawValue>>, StoreError>>> {
        match self.0.next().await? {
            Ok(page) => {
                let usage = usage_of(&page.diagnostics());
                let session_token =
                    page.headers().session_token().map(|token| SessionToken::new(token.as_str()));
                Some(Answered { value: Ok(page.into_items()), usage, session_token })
            }
            Err(error) => Some(failed(store_error(error))),
        }
    }

    /// What a later query needs to go on from here, unless this was the last page.
    pub(crate) fn continuation(&self) -> Option<String> {
        self.0.to_continuation_token().ok().map(|token| token.as_str().to_owned())
    }
}

impl Connection {
    /// Starts a query. Nothing is sent before the first page is asked for, but what the SDK wants to
    /// know about the container.
    pub(crate) async fn pages(
        &self,
        scope: &Scope,
        page_items: u32,
        session_token: Option<&SessionToken>,
        continuation: Option<&str>,
    ) -> Result<Pages, StoreError> {
        let (query, feed_scope) = scope.query().map_err(store_error)?;
        let mut options = query_options(page_items, session_token);
        if let Some(token) = continuation {
            let token = ContinuationToken::from_string(token.to_owned());
            options = options.with_continuation_token(token);
        }
        self.start(query, feed_scope, options).await
    }

    /// All documents in a run of places, and all documents with one of the event ids.
    pub(crate) async fn events_at_or_with_ids(
        &self,
        stream: &str,
        first: u64,
        last: u64,
        ids: &[EventId],
    ) -> Answered<Result<Vec<Box<RawValue>>, StoreError>> {
        let query = match read_back_query(first, last, ids) {
            Ok(query) => query,
            Err(error) => return failed(store_error(error)),
        };
        let scope = FeedScope::partition(stream.to_owned());
        // One page holds them all, unless they are large.
        let options = query_options(u32::MAX, None);
        match self.start(query, scope, options).await {
            Ok(pages) => drain(pages).await,
            Err(error) => failed(error),
        }
    }

    /// The document with an event id; ids are unique per stream.
    pub(crate) async fn event_with_id(
        &self,
        stream: &str,
        event_id: EventId,
    ) -> Answered<Result<Vec<Box<RawValue>>, StoreError>> {
        let query = Query::from("SELECT * FROM c WHERE c.eventId = @eventId")
            .with_parameter("@eventId", event_id);
        let query = match query {
            Ok(query) => query,
            Err(error) => return failed(store_error(error)),
        };
        let scope = FeedScope::partition(stream.to_owned());
        match self.start(query, scope, query_options(u32::MAX, None)).await {
            Ok(pages) => drain(pages).await,
            Err(error) => failed(error),
        }
    }

    async fn start(
        &self,
        query: Query,
        scope: FeedScope,
        options: QueryOptions,
    ) -> Result<Pages, StoreError> {
        let items = Box::pin(self.events.query_items::<Box<RawValue>>(query, scope, Some(options)))
            .await
            .map_err(store_error)?;
        Ok(Pages(items.into_pages()))
    }
}

fn read_back_query(
    first: u64,
    last: u64,
    ids: &[EventId],
) -> Result<Query, azure_data_cosmos::CosmosError> {
    let names: Vec<String> = (0..ids.len()).map(|index| format!("@e{index}")).collect();
    let list = names.join(", ");
    let mut query = Query::from(format!(
        "SELECT * FROM c WHERE (c.id >= @from AND c.id <= @upTo) OR c.eventId IN ({list})"
    ))
    .with_parameter("@from", item_id(first))?
    .with_parameter("@upTo", item_id(last))?;
    for (name, id) in names.into_iter().zip(ids) {
        query = query.with_parameter(name, id)?;
    }
    Ok(query)
}

fn query_options(page_items: u32, session_token: Option<&SessionToken>) -> QueryOptions {
    let hint = match NonZeroU32::new(page_items) {
        Some(NonZeroU32::MAX) => MaxItemCountHint::ServerDecides,
        Some(items) => MaxItemCountHint::Limit(items),
        None => MaxItemCountHint::Limit(NonZeroU32::MIN),
    };
    let options = QueryOptions::default()
        .with_operation_options(operation_options(READ_TIME_MAX))
        .with_max_item_count(hint);
    match session_token {
        Some(token) => options.with_session_token(token.as_str().to_owned()),
        None => options,
    }
}

async fn drain(mut pages: Pages) -> Answered<Result<Vec<Box<RawValue>>, StoreError>> {
    let (mut documents, mut usage, mut session_token) = (Vec::new(), Usage::default(), None);
    while let Some(page) = pages.next().await {
        usage += page.usage;
        session_token = page.session_token.or(session_token);
        match page.value {
            Ok(mut items) => documents.append(&mut items),
            Err(error) => return Answered { value: Err(error), usage, session_token },
        }
    }
    Answered { value: Ok(documents), usage, session_token }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn text(query: &impl Serialize) -> serde_json::Value {
        serde_json::to_value(query).unwrap()
    }

    #[test]
    fn a_whole_stream_needs_no_condition() {
        let scope = Scope::Run {
            stream: "s".to_owned(),
            from: 1,
            up_to: None,
            backwards: false,
            projection: Projection::Documents,
        };
        let (query, _) = scope.query().unwrap();
        assert_eq!(text(&query), serde_json::json!({"query": "SELECT * FROM c ORDER BY c.id"}));
    }

    #[test]
    fn a_run_is_bounded_by_item_ids() {
        let scope = Scope::Run {
            stream: "s".to_owned(),
            from: 1,
            up_to: Some(12),
            backwards: true,
            projection: Projection::Times,
        };
        let (query, _) = scope.query().unwrap();
        assert_eq!(
            text(&query),
            serde_json::json!({
                "query": "SELECT c.id, c.recordedAt FROM c \
                          WHERE c.id >= @from AND c.id <= @upTo ORDER BY c.id DESC",
                "parameters": [
                    {"name": "@from", "value": "00000000000000000001"},
                    {"name": "@upTo", "value": "00000000000000000012"},
                ],
            })
        );
    }

    #[test]
    fn the_read_back_names_every_id() {
        let ids = [EventId::random(), EventId::random()];
        let query = text(&read_back_query(3, 34, &ids).unwrap());
        assert_eq!(
            query["query"],
            "SELECT * FROM c WHERE (c.id >= @from AND c.id <= @upTo) OR c.eventId IN (@e0, @e1)"
        );
        assert_eq!(query["parameters"][3]["value"], ids[1].to_string());
    }
}
