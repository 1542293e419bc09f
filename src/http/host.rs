//! Whom a request is for, and which page had it sent.
//!
//! Without access control whoever reaches the service may use it. Listening on loopback keeps other
//! machines out, but not the browser on this one, which sends what any page tells it to. Two checks keep
//! those pages out: a name of another site that resolves to loopback is refused (DNS rebinding), and so
//! is a write that a page of another site had sent. Browsers set `Host` and `Origin`, pages cannot.
//!
//! With access control a page has to have a key or a token, which no browser adds by itself, so neither check
//! is needed. The service then answers for every host, or for those of the settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Version, header},
};

use super::{
    limits::ServiceOptions,
    problem::{FOREIGN_ORIGIN, MISDIRECTED_REQUEST, Problem},
};

/// The name of this machine for itself.
const LOOPBACK_NAME: &str = "localhost";

/// Routes that are answered for every host where access is controlled: platforms ask for them by the address
/// of a machine or container.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses a request that is for another site, or, without access control, that a page of another site had
/// sent.
pub(super) fn check(
    request: &Request,
    route: &str,
    options: &ServiceOptions,
) -> Result<(), Problem> {
    if !options.access.is_controlled() {
        // The Functions host passes on what came for any of its names.
        if !options.is_behind_host {
            check_host(request, &[])?;
        }
        return if request.method().is_safe() { Ok(()) } else { check_origin(request.headers()) };
    }
    if options.hosts.is_empty() || PROBES.contains(&route) {
        return Ok(());
    }
    check_host(request, &options.hosts)
}

fn check_host(request: &Request, hosts: &[String]) -> Result<(), Problem> {
    // A request that names the site in its first line means that one, whatever `Host` says.
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(request.headers(), &header::HOST)?,
    };
    match host {
        Some(host) if is_loopback(host) => Ok(()),
        Some(host) if hosts.iter().any(|name| name.eq_ignore_ascii_case(name_of(host))) => Ok(()),
        Some(_) => {
            let detail = if hosts.is_empty() {
                "the service answers for localhost, 127.0.0.0/8 and [::1] only"
            } else {
                "the service does not answer for this host"
            };
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
    let name = name_of(host);
    if name.eq_ignore_ascii_case(LOOPBACK_NAME) {
        return true;
    }
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.parse::<Ipv6Addr>().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    address.is_ok_and(|address| address.is_loopback())
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a text is the name or the address of a host, as it stands in `Host` without its port.
pub(super) fn is_name(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_fit))
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
        let request = request.body(Body::empty()).unwrap();
        let problem = check(&request, "/", &ServiceOptions::default()).err();
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
        let request = request.body(Body::empty()).unwrap();
        assert!(check(&request, "/", &ServiceOptions::default()).is_ok());
    }

    #[test]
    fn behind_a_host_all_of_its_names_are_answered_for() {
        let refused = |origin: &str| {
            let request = Request::builder().method("POST").header("host", "app.example.com");
            let request = request.header("origin", origin).body(Body::empty()).unwrap();
            let options = ServiceOptions::default().behind_host();
            check(&request, "/", &options).err().map(|problem| problem.status())
        };
        assert_eq!(refused("http://localhost:3000"), None);
        assert_eq!(refused("https://example.com"), Some(403));
    }

    #[test]
    fn names_of_hosts_are_told_from_other_texts() {
        for name in ["events.example.com", "a", "10.0.0.4", "[fd00::1]", "my_host-1"] {
            assert!(is_name(name), "{name}");
        }
        for text in
            ["", ".", "a..b", "*.example.com", "https://a", "a:80", "a/b", "a b", "[a]", "\u{e9}"]
        {
            assert!(!is_name(text), "{text}");
        }
    }
}
