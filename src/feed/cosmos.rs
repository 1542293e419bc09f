//! Cosmos DB behind the processor: the only place of it that knows the SDK.
//!
//! What the SDK (1.0.0) does with splits, merges and places, as the tests in `tests/it/feed` show:
//!
//! - **Split while a range is open.** The first request to the former partition is answered 410; the SDK
//!   looks the partitions up and goes on in all of them from the same place. Nothing is lost or repeated.
//!   From then on each page comes from one of the partitions, in turn, and so is each place: it names how
//!   far every one of them is.
//! - **Merge while a range is open.** The SDK finds the merged partition the same way, and asks it for the
//!   part that the range was. Where parts are not read ([`Feed::reads_parts`](super::Feed::reads_parts))
//!   that is answered 400, for ever: the reader then compares the partitions and says
//!   [`FeedFault::Moved`](super::FeedFault::Moved).
//! - **A place of a range opened on a part of it.** The SDK cuts it: the part goes on exactly where the
//!   whole was. On what is outside of the range, it would begin where the feed once began, and with "now"
//!   lose what was stored since; so places are stored with their range, and refused elsewhere.
//! - **"Now".** It is what the service makes of it at the first request of each partition. A place without
//!   a request to every partition would mean a later "now" for the others, so all are asked.

mod builder;
mod connection;
mod feed;
mod fields;
mod leases;
mod place;
mod reader;

pub use self::{
    builder::{CosmosProcessor, StartError},
    feed::CosmosFeed,
    fields::{FeedFields, InvalidPath},
    leases::CosmosLeases,
};
