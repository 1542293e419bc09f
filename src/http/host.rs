//! Whom a request is for, and which page had it sent.
//!
//! The service has no authentication: whoever reaches it may use it. Listening on loopback keeps other
//! machines out, but not the browser on this one, which sends what any page tells it to. Two checks keep
//! those pages out: a name of another site that resolves to loopback is refused (DNS rebinding), and so
//! is a write that a page of another site had sent. Browsers set `Host` and `Origin`, pages cannot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Version, header},
};

use super::problem::{FOREIGN_ORIGIN, MISDIRECTED_REQUEST, Problem};

/// The name of this machine for itself.
const LOOPBACK_NAME: &str = "localhost";

/// Refuses a request that is for another site, or that a page of another site had sent. Behind the Functions
/// host the sites are its business: it passes on what came for any of its names.
pub(super) fn check(request: &Request, is_behind_host: bool) -> Result<(), Problem> {
    if !is_behind_host {
        check_host(request)?;
    }
    if request.method().is_safe() { Ok(()) } else { check_origin(request.headers()) }
}

fn check_host(request: &Request) -> Result<(), Problem> {
    // A request that names the site in its first line means that one, whatever `Host` says.
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(request.headers(), &header::HOST)?,
    };
    match host {
        Some(host) if is_loopback(host) => Ok(()),
        Some(_) => {
            let detail = "the service answers for localhost, 127.0.0.0/8 and [::1] only";
            Err(Problem::new(&MISDIRECTED_REQUEST, detail))
        }
        // No browser is that old.
        None if request.version() < Version::HTTP_11 => Ok(()),
        None => Err(Problem::header("host", "missing")),
    }
}

fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = single(headers, &header::ORIGIN)? else { return Ok(()) };
    let host = origin.split_once("://").map(|(_, host)| host);
    if host.is_some_and(is_loopback) {
        return Ok(());
    }
    let detail = "the header Origin names another site than this machine";
    Err(Problem::new(&FOREIGN_ORIGIN, detail))
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Problem::header(name.as_str(), "one value, in ASCII")),
    }
}

/// Whether a host, with a port or without, is a name of this machine that no name server can give to
/// another one.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case(LOOPBACK_NAME) {
        return true;
    }
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.parse::<Ipv6Addr>().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.9.0.1:1",
            "[::1]",
            "[::1]:80",
            "localhost:",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            ":8080",
            "example.com",
            "localhost.example.com",
            "localhost:80.example.com",
            "user@localhost",
            "notlocalhost",
            "127.0.0.1.example.com",
            "128.0.0.1",
            "0.0.0.0",
            "192.0.2.1:8080",
            "::1",
            "[::]",
            "[::1",
            "[127.0.0.1]",
            "[::1].example.com",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    fn refused(version: Version, uri: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().method("POST").version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let problem = check(&request.body(Body::empty()).unwrap(), false).err();
        problem.map(|problem| problem.status())
    }

    #[test]
    fn the_site_is_the_one_of_the_first_line_or_the_header() {
        let host = |host| [("host", host)];
        let new = Version::HTTP_11;
        assert_eq!(refused(new, "/", &host("localhost")), None);
        assert_eq!(refused(new, "/", &host("example.com")), Some(421));
        assert_eq!(refused(new, "http://localhost/", &host("example.com")), None);
        assert_eq!(refused(new, "http://example.com/", &host("localhost")), Some(421));
        assert_eq!(refused(new, "/", &[("host", "localhost"), ("host", "localhost")]), Some(400));
        assert_eq!(refused(new, "/", &[]), Some(400));
        assert_eq!(refused(Version::HTTP_10, "/", &[]), None);
        assert_eq!(refused(Version::HTTP_10, "/", &host("example.com")), Some(421));
    }

    #[test]
    fn the_origin_of_a_write_is_this_machine() {
        let from = |origin| [("host", "localhost:8080"), ("origin", origin)];
        let write = |origin| refused(Version::HTTP_11, "/", &from(origin));
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"] {
            assert_eq!(write(origin), None, "{origin}");
        }
        for origin in ["https://example.com", "null", "", "localhost", "http://localhost/x"] {
            assert_eq!(write(origin), Some(403), "{origin}");
        }
    }

    #[test]
    fn reads_of_other_pages_are_for_the_browser_to_hide() {
        let request = Request::builder().header("host", "localhost").header("origin", "https://x");
        assert!(check(&request.body(Body::empty()).unwrap(), false).is_ok());
    }

    #[test]
    fn behind_a_host_all_of_its_names_are_answered_for() {
        let refused = |origin: &str| {
            let request = Request::builder().method("POST").header("host", "app.example.com");
            let request = request.header("origin", origin).body(Body::empty()).unwrap();
            check(&request, true).err().map(|problem| problem.status())
        };
        assert_eq!(refused("http://localhost:3000"), None);
        assert_eq!(refused("https://example.com"), Some(403));
    }
}
