//! The limits of the service, each with its reason.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{BindError, access::Access, health::Standstill, host, metrics::Source};
use crate::{feed::lag::LagReader, projection::ReadModels, telemetry::figures::Figure};

/// The port that the service takes unless another is named.
pub const PORT_DEFAULT: u16 = 8080;
/// The bytes of the largest body. The largest batch has 2 MiB; escapes and spaces may double that.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of a body that is too large is still read, so that the client sees the answer instead of a
/// broken connection.
pub const BODY_DRAIN_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
/// How long a body may take to arrive: the largest one over a slow line.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection may be idle, and how long the header of a request may take.
pub const IDLE_TIME_MAX: Duration = Duration::from_mins(1);
/// How long the store may take for one request. A little more than an append takes at most, so that the
/// store's own answer is the one that is given.
pub const STORE_TIME_MAX: Duration = Duration::from_secs(35);
/// The requests in flight. Each holds a body and a page at most; more of them wait no less in the store.
pub const REQUESTS_MAX: usize = 512;
/// The connections. Each costs a task and its buffers; more of them wait until they are accepted.
pub const CONNECTIONS_MAX: usize = 1024;
/// What a client is told to wait when there are too many requests: they end within moments.
pub const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a client is told to wait when others change a quote all the time.
pub const CONTENTION_RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a client is told to wait when the store says nothing: its throughput is counted per second.
pub const THROTTLE_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long requests that have begun may take to end when the service stops: less than what service
/// managers grant.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the store may take to say that it is there.
pub const READY_TIME_MAX: Duration = Duration::from_secs(2);
/// How long what the store said of itself is told again: platforms ask every few seconds, and whoever asks more
/// often must not cost a request to the store each time.
pub const READY_FRESH: Duration = Duration::from_secs(1);
/// The events or streams of a page unless a request says how many.
pub const PAGE_LIMIT_DEFAULT: u32 = 100;
/// The most events or streams of a page. A page is held in memory; large events make it end earlier.
pub const PAGE_LIMIT_MAX: u32 = 1000;
/// The most pages of the store that one page is made of. The service ends each at 4 MB, so this is what
/// bounds the bytes of a page.
pub const STORE_PAGES_MAX: usize = 4;
/// The longest request id that is taken from a client, in characters.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// The longest session token that is taken, in bytes: a token names each physical partition once.
pub const SESSION_TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The most attributes of a `CloudEvents` event: the standard ones, ours, and room for more.
pub const CLOUD_EVENT_ATTRIBUTES_MAX: usize = 64;

/// How long a request for the feed may wait for something new. Less than [`STORE_TIME_MAX`], within which all
/// of the request must be answered.
pub const FEED_WAIT_MAX: Duration = Duration::from_secs(30);
/// The readers of the feed that may wait for something new at a time. Each asks the store again and again,
/// and those of server-sent events hold a connection and a page.
pub const FEEDS_MAX: usize = 64;
/// How often a connection with server-sent events says that it is alive: less than what proxies wait for.
pub const FEED_BEAT: Duration = Duration::from_secs(15);
/// How long a reader of server-sent events is told to wait before it comes back.
pub const FEED_RETRY: Duration = Duration::from_secs(1);
/// How long a reader of the feed waits at first before the store is asked again for what others append.
pub const FEED_POLL_MIN: Duration = Duration::from_millis(250);
/// How long it waits at most: every question costs a request unit for each partition.
pub const FEED_POLL_MAX: Duration = Duration::from_secs(5);
/// How long a read waits for an append to be visible in a read model, unless it says how long.
pub const WAIT_TIME_DEFAULT: Duration = Duration::from_secs(2);
/// The longest that a read may wait for an append to be visible: less than the store may take for a request,
/// so that there is time left for the read itself. A read that waits is one of those in flight.
pub const WAIT_TIME_MAX: Duration = Duration::from_secs(30);
/// What a client is told to wait when a read model is not there yet, or does not have an append yet: one that
/// is kept up to date is behind by less.
pub const READ_MODEL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The fewest characters of an API key: 32 of hexadecimal are 128 bits, which nobody guesses.
pub const ACCESS_KEY_CHARS_MIN: usize = 32;
/// The most characters of an API key.
pub const ACCESS_KEY_CHARS_MAX: usize = 256;
/// The most API keys. Each presented key is compared with all of them.
pub const ACCESS_KEYS_MAX: usize = 64;
/// The longest name of who is behind a request, in characters: what an actor of an event may have.
pub const PRINCIPAL_CHARS_MAX: usize = 128;
/// The longest key or token that is looked at, in bytes. Tokens with many groups have about 8 KB.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// How far the clock of the tenant and that of this machine may be apart. Both are kept to the second by their
/// platforms, and with more, tokens would be good for longer than their issuer says.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_mins(1);
/// The largest key set of a tenant. Those of Entra ID have about 20 KB.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// The most keys of a key set that are kept. Those of Entra ID have about 10.
pub const KEY_SET_KEYS_MAX: usize = 64;
/// How long fetching a key set may take, while requests wait for it.
pub const KEY_SET_TIME_MAX: Duration = Duration::from_secs(5);
/// How old a key set may be before it is fetched again: a key that its tenant has withdrawn is not accepted
/// for longer than this.
pub const KEY_SET_FRESH: Duration = Duration::from_hours(24);
/// How old a key set may be while it cannot be fetched again: over a weekend. Then no token is accepted.
pub const KEY_SET_USABLE_MAX: Duration = Duration::from_hours(72);
/// How long it takes until a key set is fetched again because of a key that is not in it, or that could not be
/// had: anybody can name such a key.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(30);
/// The same while there is no key set, so that nobody is let in, and what clients are told to wait.
pub const KEY_SET_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How the service listens and what it bears.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Where it listens: on loopback only where access is not controlled; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long requests that have begun may take to end when the service stops.
    pub drain_time_max: Duration,
    /// How long a connection may be idle, and how long the header of a request may take.
    pub idle_time_max: Duration,
    /// How long a body may take to arrive.
    pub body_time_max: Duration,
    /// How long the store may take for one request.
    pub store_time_max: Duration,
    /// The requests in flight.
    pub requests_max: usize,
    /// The connections.
    pub connections_max: usize,
    /// The readers of the feed that may wait for something new at a time.
    pub feeds_max: usize,
    /// How often a connection with server-sent events says that it is alive.
    pub feed_beat: Duration,
    /// Whether the Functions host is before it, which knows for which names it answers.
    pub(super) is_behind_host: bool,
    /// What `/metrics` answers besides the figures of the store and of the service.
    pub(super) figures: Option<Source>,
    /// What tells how far processors are behind.
    pub(super) lag: Option<LagReader>,
    /// What tells why the worker does not work.
    pub(super) standstill: Option<Standstill>,
    /// Who may use the service.
    pub(super) access: Access,
    /// The hosts that it answers for besides loopback, in lower case; any where there are none.
    pub(super) hosts: Vec<String>,
    /// What views of quotes and `/read-models` are answered from.
    pub(super) read_models: Option<ReadModels>,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_DEFAULT)),
            drain_time_max: DRAIN_TIME_MAX,
            idle_time_max: IDLE_TIME_MAX,
            body_time_max: BODY_TIME_MAX,
            store_time_max: STORE_TIME_MAX,
            requests_max: REQUESTS_MAX,
            connections_max: CONNECTIONS_MAX,
            feeds_max: FEEDS_MAX,
            feed_beat: FEED_BEAT,
            is_behind_host: false,
            figures: None,
            lag: None,
            standstill: None,
            access: Access::none(),
            hosts: Vec::new(),
            read_models: None,
        }
    }
}

impl ServiceOptions {
    /// Whether it may listen there and answer for these hosts, which needs no store.
    ///
    /// # Errors
    ///
    /// [`BindError::NotLoopback`] for an address that other machines can reach and
    /// [`BindError::HostsWithoutAccess`] for hosts, where access is not controlled; [`BindError::Host`] for
    /// what is no host.
    pub fn check_listen(&self) -> Result<(), BindError> {
        let address = self.listen;
        if !self.access.is_controlled() {
            if !address.ip().is_loopback() {
                return Err(BindError::NotLoopback { address });
            }
            if !self.hosts.is_empty() {
                return Err(BindError::HostsWithoutAccess);
            }
        }
        match self.hosts.iter().find(|name| !host::is_name(name)) {
            Some(host) => Err(BindError::Host { host: host.clone() }),
            None => Ok(()),
        }
    }

    /// Sets who may use the service. Unless it is set, that is whoever reaches it, and it listens on loopback
    /// only.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets the hosts that the service answers for besides names of loopback, each with any port. Without any
    /// it answers for all. Only where access is controlled.
    #[must_use]
    pub fn with_hosts(mut self, hosts: Vec<String>) -> Self {
        self.hosts = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        self
    }

    /// Sets where it listens.
    #[must_use]
    pub fn with_listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets how long requests that have begun may take to end when the service stops.
    #[must_use]
    pub fn with_drain_time_max(mut self, time: Duration) -> Self {
        self.drain_time_max = time;
        self
    }

    /// Sets how long a connection may be idle, and how long the header of a request may take.
    #[must_use]
    pub fn with_idle_time_max(mut self, time: Duration) -> Self {
        self.idle_time_max = time;
        self
    }

    /// Sets how long a body may take to arrive.
    #[must_use]
    pub fn with_body_time_max(mut self, time: Duration) -> Self {
        self.body_time_max = time;
        self
    }

    /// Sets how long the store may take for one request.
    #[must_use]
    pub fn with_store_time_max(mut self, time: Duration) -> Self {
        self.store_time_max = time;
        self
    }

    /// Sets how many requests may be in flight; the ones behind them are refused with 503.
    #[must_use]
    pub fn with_requests_max(mut self, requests: usize) -> Self {
        self.requests_max = requests;
        self
    }

    /// Sets what `/metrics` answers besides the figures of the store and of the service itself. It is asked
    /// for with every request, and must not block.
    #[must_use]
    pub fn with_figures(
        mut self,
        figures: impl Fn() -> Vec<Figure> + Send + Sync + 'static,
    ) -> Self {
        self.figures = Some(Source::new(figures));
        self
    }

    /// Sets what tells how far processors are behind, for `/lag`. Without it there is nothing at that path.
    #[must_use]
    pub fn with_lag(mut self, reader: LagReader) -> Self {
        self.lag = Some(reader);
        self
    }

    /// Sets what tells why a worker in the process does not work, where it does not: `/readyz` is then 503 with
    /// that reason. It is asked with every request, and must not block.
    #[must_use]
    pub fn with_standstill(
        mut self,
        reason: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        self.standstill = Some(Standstill::new(reason));
        self
    }

    /// Sets how many readers of the feed may wait for something new; the ones behind them are refused with
    /// 503.
    #[must_use]
    pub fn with_feeds_max(mut self, feeds: usize) -> Self {
        self.feeds_max = feeds;
        self
    }

    /// Sets how often a connection with server-sent events says that it is alive.
    #[must_use]
    pub fn with_feed_beat(mut self, time: Duration) -> Self {
        self.feed_beat = time;
        self
    }

    /// Sets what views of quotes and `/read-models` are answered from. Somebody has to keep them up to date: a
    /// [`ProjectionHost`](crate::projection::ProjectionHost) here or elsewhere. Without read models, or where
    /// their catalog has none of [`quotes::projections`](crate::quotes::projections), a quote is answered from
    /// its events, and what is made from many quotes is not answered.
    #[must_use]
    pub fn with_read_models(mut self, read_models: ReadModels) -> Self {
        self.read_models = Some(read_models);
        self
    }

    /// For a service that the Functions host passes requests on to.
    pub(super) fn behind_host(mut self) -> Self {
        self.is_behind_host = true;
        self
    }

    /// Sets how many connections there may be; the ones behind them wait.
    #[must_use]
    pub fn with_connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections;
        self
    }
}
