//! What one may do, and what each route asks for: the one table of all routes.
//!
//! - Scopes do not include one another.
//! - Whatever is not in the table is for administrators, so a route that somebody forgot is closed.

use std::fmt;

use axum::http::Method;

/// What a caller may do. None includes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To read data.
    Read,
    /// To append events and to give commands.
    Write,
    /// To see how the service is doing.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its name in settings and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some of the scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    read: bool,
    write: bool,
    admin: bool,
}

impl Scopes {
    pub(super) const fn contains(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Admin => self.admin,
        }
    }

    /// Those of `self` that `other` has, too.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            write: self.write && other.write,
            admin: self.admin && other.admin,
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut all = Self::default();
        for scope in scopes {
            match scope {
                Scope::Read => all.read = true,
                Scope::Write => all.write = true,
                Scope::Admin => all.admin = true,
            }
        }
        all
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Need {
    /// Nothing: it is answered to everybody.
    Nothing,
    /// To be known, whatever one may do: there is nothing at the path.
    Somebody,
    /// This scope.
    Scope(Scope),
}

/// Routes that are open to be read by everybody: they have no data, and whoever finds out how the service is
/// to be used, or whether it is alive, has no key yet.
const OPEN: &[&str] = &["/", "/healthz", "/readyz", "/openapi.json", "/problems/{slug}"];
/// Routes whose reads need `read` and whose writes need `write`.
const DATA: &[&str] = &[
    "/streams",
    "/streams/{id}",
    "/streams/{id}/events",
    "/streams/{id}/events/{n}",
    "/feed",
    "/quotes",
    "/quotes/summary",
    "/quotes/{id}",
    "/quotes/{id}/status",
    "/quotes/{id}/history",
    "/quotes/{id}/geographic",
    "/quotes/{id}/contact",
    "/quotes/{id}/family",
    "/quotes/{id}/save",
    "/quotes/{id}/finalize",
    "/quotes/{id}/approve",
    "/quotes/{id}/reject",
    "/quotes/{id}/withdraw",
    "/read-models",
    "/read-models/{name}/views",
    "/read-models/{name}/views/{id}",
    "/read-models/{name}/totals",
    "/read-models/{name}/totals/{key}",
];
/// Routes that need `admin`, as does every route that is in none of these lists.
#[cfg(test)]
const ADMIN: &[&str] = &["/metrics", "/lag", "/lag/{processor}"];

/// What a request needs, by the template of its route; there is none where nothing is at the path.
pub(in crate::http) fn need(method: &Method, route: Option<&str>) -> Need {
    let Some(route) = route else { return Need::Somebody };
    if DATA.contains(&route) {
        Need::Scope(if method.is_safe() { Scope::Read } else { Scope::Write })
    } else if OPEN.contains(&route) && method.is_safe() {
        Need::Nothing
    } else {
        Need::Scope(Scope::Admin)
    }
}

/// Whether somebody has thought about who may use a route.
#[cfg(test)]
pub(in crate::http) fn is_classified(route: &str) -> bool {
    [OPEN, DATA, ADMIN].iter().any(|list| list.contains(&route))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_for_administrators() {
        let admin = Need::Scope(Scope::Admin);
        for route in ["/metrics", "/lag", "/lag/{processor}", "/processors/{name}", "/streams/x"] {
            assert_eq!(need(&Method::GET, Some(route)), admin, "{route}");
            assert_eq!(need(&Method::POST, Some(route)), admin, "{route}");
        }
        assert_eq!(need(&Method::GET, None), Need::Somebody);
    }

    #[test]
    fn reads_and_writes_of_data_are_told_apart_by_the_method() {
        let needs = |method: Method| need(&method, Some("/streams/{id}/events"));
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(needs(method), Need::Scope(Scope::Read));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(needs(method), Need::Scope(Scope::Write));
        }
    }

    #[test]
    fn only_reads_are_open() {
        assert_eq!(need(&Method::GET, Some("/healthz")), Need::Nothing);
        assert_eq!(need(&Method::POST, Some("/healthz")), Need::Scope(Scope::Admin));
    }

    #[test]
    fn scopes_do_not_include_one_another() {
        for scope in Scope::ALL {
            let only: Scopes = [scope].into_iter().collect();
            for other in Scope::ALL {
                assert_eq!(only.contains(other), scope == other);
            }
            assert_eq!(Scope::named(scope.name()), Some(scope));
        }
        let both: Scopes = [Scope::Read, Scope::Write].into_iter().collect();
        let one: Scopes = [Scope::Write, Scope::Admin].into_iter().collect();
        assert_eq!(both.and(one), [Scope::Write].into_iter().collect());
    }
}
