//! The service as a custom handler of Azure Functions.
//!
//! Invariants:
//!
//! - It listens before it has a store: the host takes any answer for a sign of life. Until the store is
//!   [attached](Store::attach), requests are refused with 503, and triggers wait for a moment and fail then.
//! - Whoever is not the host cannot invoke a trigger; see `invocation`.
//! - An invocation is always answered, with a JSON object. Its status says whether the host counts a failure;
//!   a failure of an HTTP request is none. A panic fails its invocation and nothing else, and leaves its place in
//!   the log, but nothing of what it was about.
//! - Payloads that come with a trigger are dropped while they are read: the host may have changed them.

mod envelope;
mod input;
mod invocation;
mod reply;
mod unpacked;
mod work;

use std::{
    net::{Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    envelope::Unreadable,
    input::Input,
    invocation::{function_of, id_of},
    reply::Reply,
    unpacked::pack,
};
pub use self::{
    invocation::Function,
    work::{Changed, Done, NotDone, Work},
};
use super::{
    BindError, ServeError, ServiceOptions, answer,
    connections::Connections,
    metrics,
    problem::{self, NOT_READY, Problem},
    request_id::RequestId,
    router,
    shared::{Ending, Inner, Shared},
};
use crate::{
    clock::{Clock as _, SystemClock},
    feed::lag::LagReader,
    projection::ReadModels,
    store::EventStore,
    telemetry::figures::Figure,
};

/// The target of what is logged.
const TARGET: &str = "cosmos_event_store::functions";
/// The bytes of the largest invocation. The host packs documents into text twice, so that a batch of a few
/// megabytes becomes a multiple of that; one that is refused would be lost to the function for good.
pub const INVOCATION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of an invocation that is too large is still read, so that the host sees the answer.
pub const INVOCATION_DRAIN_BYTES_MAX: usize = 4 * INVOCATION_BYTES_MAX;
/// How long an invocation may take to arrive: it comes from the same machine.
pub const INVOCATION_BODY_TIME_MAX: Duration = Duration::from_mins(1);
/// The invocations at a time. The host has one for each timer and each partition.
pub const INVOCATIONS_MAX: usize = 64;
/// The bodies of invocations that are read at a time: each may be large, and is held with what is unpacked of it.
pub const BODIES_MAX: usize = 4;
/// How long an invocation waits for the store to be attached: the first connection takes seconds.
pub const ATTACH_TIME_MAX: Duration = Duration::from_secs(20);
/// What clients are told to wait until the store is attached.
pub const ATTACH_RETRY_AFTER: Duration = Duration::from_secs(2);
/// The bytes of the largest answer that is packed for the host.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The store, and what works on it.
#[derive(Clone)]
struct Attached {
    router: Router,
    shared: Shared,
    work: Arc<dyn Work>,
}

/// What the requests share.
struct App {
    address: SocketAddr,
    options: ServiceOptions,
    ending: Ending,
    attached: watch::Sender<Option<Attached>>,
    invocations: Semaphore,
    bodies: Semaphore,
    clock: SystemClock,
}

/// A service that listens for the Functions host. [`serve`](Self::serve) answers.
pub struct FunctionsService {
    listener: TcpListener,
    app: Arc<App>,
}

/// Where the store of a service is put, once there is one.
#[derive(Clone)]
pub struct Store(Arc<App>);

impl std::fmt::Debug for FunctionsService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionsService").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}

impl Store {
    /// Gives the service its store: from now on requests are answered and triggers work.
    pub fn attach(
        &self,
        store: EventStore,
        read_models: ReadModels,
        lag: LagReader,
        work: Arc<dyn Work>,
    ) {
        let options = self.0.options.clone().with_read_models(read_models).with_lag(lag);
        let shared = Inner::ending_with(store, options, self.0.ending.clone());
        let router = router::app(&shared);
        self.0.attached.send_replace(Some(Attached { router, shared, work }));
    }
}

impl FunctionsService {
    /// Tells what `/metrics` answers, whenever it is asked; nothing before there is a store.
    pub fn figures(&self) -> impl Fn() -> Vec<Figure> + Send + Sync + use<> {
        let app = Arc::clone(&self.app);
        move || {
            let attached = app.attached.borrow();
            attached.as_ref().map_or_else(Vec::new, |attached| metrics::figures(&attached.shared))
        }
    }

    /// Listens on loopback, where the host is. [`ServiceOptions::listen`] is not used.
    ///
    /// # Errors
    ///
    /// [`BindError::Listen`] for a port that cannot be taken.
    pub async fn bind(port: u16, options: ServiceOptions) -> Result<Self, BindError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listen = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let app = App {
            address,
            options: options.behind_host(),
            ending: Ending::default(),
            attached: watch::Sender::new(None),
            invocations: Semaphore::new(INVOCATIONS_MAX),
            bodies: Semaphore::new(BODIES_MAX),
            clock: SystemClock::new(),
        };
        Ok(Self { listener, app: Arc::new(app) })
    }

    /// The address that it listens on, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// Where the store is put.
    pub fn store(&self) -> Store {
        Store(Arc::clone(&self.app))
    }

    /// Answers until it is told to stop. Then it takes nothing new, ends what triggers have set in motion, and
    /// lets what has begun end within [`ServiceOptions::drain_time_max`].
    ///
    /// # Errors
    ///
    /// [`ServeError::Deadline`] when something had to be cut off.
    ///
    /// # Cancel safety
    ///
    /// Cancel `stop` instead of dropping the future: tasks that it has started are ended, but not waited for,
    /// when it is dropped.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { listener, app } = self;
        let router = Router::new().fallback(dispatch).with_state(Arc::clone(&app));
        let connections = Connections::new(app.ending.clone(), &app.options);
        connections.accept(&listener, router, &stop).await;
        app.ending.stopping.cancel();
        drop(listener);
        let attached = app.attached.borrow().clone();
        let close = async {
            if let Some(attached) = &attached {
                attached.work.close().await;
            }
        };
        // Invocations are answered when what they wait for has ended.
        let (unfinished, ()) = tokio::join!(connections.drain(), close);
        if let Some(attached) = attached {
            attached.shared.quotes.close().await;
        }
        match unfinished {
            0 => Ok(()),
            unfinished => Err(ServeError::Deadline { unfinished }),
        }
    }
}

async fn dispatch(State(app): State<Arc<App>>, request: Request) -> Response {
    match function_of(&request, app.address) {
        Some(function) => app.invoke(function, request).await,
        None => app.answer(request).await,
    }
}

impl App {
    /// Answers what is no invocation.
    async fn answer(&self, request: Request) -> Response {
        let attached = self.attached.borrow().clone();
        if let Some(attached) = attached {
            return attached.call(request).await;
        }
        let is_sign_of_life =
            request.method() == Method::GET && ["/", "/healthz"].contains(&request.uri().path());
        let answer = if is_sign_of_life {
            answer::ok(&json!({ "status": "alive" })).unwrap_or_else(Problem::into_response)
        } else {
            let problem = Problem::new(&NOT_READY, "the store is not connected yet");
            problem.retry_after(ATTACH_RETRY_AFTER).into_response()
        };
        problem::render(answer, &RequestId::of(request.headers()))
    }

    /// Answers an invocation, whatever happens.
    async fn invoke(&self, function: Function, request: Request) -> Response {
        let (begun, id) = (self.clock.monotonic(), id_of(&request));
        let name = function.name();
        let done = AssertUnwindSafe(self.done(function, request)).catch_unwind().await;
        let reply = done.unwrap_or_else(|_| {
            // Its text may be about anything, so it is not told; the place is, by the hook of the process.
            tracing::error!(target: TARGET, function = name, invocation = id, "an invocation panicked");
            Reply::failed(StatusCode::INTERNAL_SERVER_ERROR, "it ended by a fault".to_owned())
        });
        let elapsed_ms = u64::try_from(self.clock.monotonic().saturating_sub(begun).as_millis())
            .unwrap_or(u64::MAX);
        let status = reply.status().as_u16();
        tracing::info!(target: TARGET, function = name, invocation = id, status, elapsed_ms, "invocation");
        reply.into_response()
    }

    async fn done(&self, function: Function, request: Request) -> Reply {
        let Ok(_place) = self.invocations.try_acquire() else {
            return unavailable("there are too many invocations at the moment");
        };
        let request_id = RequestId::of(request.headers());
        // Read in any case: the host does not take an answer before it has sent all.
        let input = {
            let _place = self.bodies.acquire().await;
            Input::read(function, request.into_body()).await
        };
        if self.ending.stopping.is_cancelled() {
            return unavailable("the process is about to stop");
        }
        let Some(attached) = self.attached().await else {
            return unavailable("the store is not connected yet");
        };
        let work = &attached.work;
        let done = match input {
            Input::Request(request) => return attached.answer(*request, &request_id).await,
            Input::Pump { is_late } => {
                work.pump().await.map(|done| with_line(done, is_late.then_some("it is past due")))
            }
            Input::Lag => work.lag().await,
            Input::Changes(changed) => work.wake(changed).await,
            Input::Nothing => Ok(Done::default()),
        };
        match done {
            Ok(Done { logs, value }) => Reply::done(logs, (!value.is_empty()).then_some(value)),
            Err(NotDone(reason)) => {
                tracing::warn!(target: TARGET, function = function.name(), reason, "not done");
                Reply::failed(StatusCode::INTERNAL_SERVER_ERROR, reason)
            }
        }
    }

    /// The store, as soon as it is there; nothing when that takes too long.
    async fn attached(&self) -> Option<Attached> {
        let mut attached = self.attached.subscribe();
        let waiting = async {
            tokio::select! {
                biased;
                found = attached.wait_for(Option::is_some) => found.ok()?.clone(),
                () = self.ending.stopping.cancelled() => None,
            }
        };
        timeout(ATTACH_TIME_MAX, waiting).await.ok()?
    }
}

impl Attached {
    /// What is answered to a request that is no invocation.
    async fn call(&self, request: Request) -> Response {
        // A router never fails.
        match TowerToHyperService::new(self.router.clone()).call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }

    /// Answers an HTTP request that has come as an invocation.
    async fn answer(&self, request: Result<Request, Unreadable>, id: &RequestId) -> Reply {
        let answer = match request {
            Ok(request) => self.call(request).await,
            // Nobody else would answer whoever waits for the host.
            Err(unreadable) => {
                let detail = format!("the host has sent what is no request: {unreadable}");
                let problem = Problem::new(&problem::MALFORMED_BODY, detail);
                problem::render(problem.into_response(), id)
            }
        };
        Reply::answer(pack(answer, id).await)
    }
}

fn unavailable(reason: &str) -> Reply {
    Reply::failed(StatusCode::SERVICE_UNAVAILABLE, reason.to_owned())
        .retry_after(ATTACH_RETRY_AFTER)
}

fn with_line(mut done: Done, line: Option<&str>) -> Done {
    done.logs.extend(line.map(str::to_owned));
    done
}
