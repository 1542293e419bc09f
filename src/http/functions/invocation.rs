//! Which requests are invocations by the Functions host, and which it only passes on.
//!
//! The host and its clients come by the same port. What tells them apart is in
//! `docs/decisions/011-functions.md`: the host adds one header to everything that it passes on, whatever the
//! client has sent, and never to an invocation; and an invocation is for the address that this process listens
//! on. An invocation does no harm when it is forged all the same: triggers only have what is stored be read.

use std::net::SocketAddr;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
};

use crate::http::host;

/// The header that the host adds to invocations, and to what it passes on.
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");
/// The header that the host adds to what it passes on, and only to that.
const PASSED_ON: HeaderName = HeaderName::from_static("x-ms-invocation-id");

/// What a function is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Function {
    /// The HTTP service, where the host does not pass requests on as they are.
    Api,
    /// Keeps read models up to date for a time.
    Pump,
    /// Has what was just stored be read.
    WakeUp,
    /// Tells how far read models are behind.
    Lag,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Pump, Self::WakeUp, Self::Lag];

    /// Its name: that of its folder, and of its path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Pump => "pump",
            Self::WakeUp => "wakeup",
            Self::Lag => "lag",
        }
    }

    /// The type and the name of its trigger, as `function.json` must have them.
    pub const fn trigger(self) -> (&'static str, &'static str) {
        match self {
            Self::Api => ("httpTrigger", "req"),
            Self::Pump | Self::Lag => ("timerTrigger", "timer"),
            Self::WakeUp => ("cosmosDBTrigger", "changes"),
        }
    }
}

/// The function that the host invokes with a request; nothing for what it passes on, and for what others send.
pub(super) fn function_of(request: &Request, address: SocketAddr) -> Option<Function> {
    let headers = request.headers();
    if request.method() != Method::POST
        || headers.contains_key(PASSED_ON)
        || !headers.contains_key(INVOCATION_ID)
        || request.uri().query().is_some()
    {
        return None;
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next().map(HeaderValue::to_str), hosts.next());
    let (Some(Ok(host)), None) = (first, second) else { return None };
    if !host::is_loopback(host) || !host.ends_with(&format!(":{}", address.port())) {
        return None;
    }
    let name = request.uri().path().strip_prefix('/')?;
    Function::ALL.into_iter().find(|function| function.name() == name)
}

/// What the log calls an invocation: the host's own id, where it is fit for that.
pub(super) fn id_of(request: &Request) -> String {
    let id = request.headers().get(INVOCATION_ID).and_then(|value| value.to_str().ok());
    let is_fit = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    id.filter(is_fit).unwrap_or("unknown").to_owned()
}

/// Headers of a request that is unpacked from an invocation which are not its own.
pub(super) fn is_foreign(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        INVOCATION_ID,
        PASSED_ON,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const ADDRESS: &str = "127.0.0.1:4321";

    fn function(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Function> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        function_of(&request.body(Body::empty()).unwrap(), ADDRESS.parse().unwrap())
    }

    #[test]
    fn the_host_invokes_functions_by_name() {
        let host = [("host", ADDRESS), ("X-Azure-Functions-InvocationId", "a-1")];
        for known in Function::ALL {
            let path = format!("/{}", known.name());
            assert_eq!(function("POST", &path, &host), Some(known));
            for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
                assert_eq!(function(method, &path, &host), None);
            }
        }
        for other in ["/", "/Pump", "/pump/", "//pump", "/api/pump", "/pump?a=1", "/streams"] {
            assert_eq!(function("POST", other, &host), None, "{other}");
        }
    }

    #[test]
    fn what_the_host_passes_on_is_no_invocation() {
        let id = ("x-azure-functions-invocationid", "a-1");
        let passed_on = ("x-ms-invocation-id", "a-1");
        assert_eq!(function("POST", "/pump", &[("host", ADDRESS), id, passed_on]), None);
        // Whatever a client has put in before.
        let twice = [("host", ADDRESS), id, id, passed_on, passed_on];
        assert_eq!(function("POST", "/pump", &twice), None);
        assert_eq!(function("POST", "/pump", &[("host", ADDRESS)]), None);
        for host in
            ["app.azurewebsites.net", "127.0.0.1", "127.0.0.1:7071", "localhost:14321", "a:4321"]
        {
            assert_eq!(function("POST", "/pump", &[("host", host), id]), None, "{host}");
        }
        let two_hosts = [("host", ADDRESS), ("host", ADDRESS), id];
        assert_eq!(function("POST", "/pump", &two_hosts), None);
        assert_eq!(function("POST", "/pump", &[id]), None);
    }

    #[test]
    fn ids_that_are_not_fit_for_a_log_are_left_out() {
        let of = |id: &str| {
            let request = Request::builder().header(INVOCATION_ID, id);
            id_of(&request.body(Body::empty()).unwrap())
        };
        assert_eq!(of("0b1c-22"), "0b1c-22");
        for unfit in ["", "a b", &"a".repeat(65)] {
            assert_eq!(of(unfit), "unknown");
        }
    }
}
