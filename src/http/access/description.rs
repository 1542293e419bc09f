//! What the description of the interface says about access, where it is controlled.
//!
//! Without access control the description says nothing of it: no request needs a key, and none is refused.

use axum::http::Method;
use utoipa::openapi::{
    OpenApi, PathItem,
    path::Operation,
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::{
    Access, Scope,
    credential::API_KEY,
    scope::{Need, need},
};
use crate::http::openapi;

/// The names of the ways to present a credential.
const BEARER: &str = "bearer";
const KEY: &str = "apiKey";

/// Adds who may do what to a description.
pub(in crate::http) fn add(description: &mut OpenApi, access: &Access) {
    if !access.is_controlled() {
        return;
    }
    let (takes_keys, takes_tokens) = access.takes();
    let taken = match (takes_keys, takes_tokens) {
        (true, true) => "An API key, or an access token of Microsoft Entra ID",
        (true, false) => "An API key",
        (false, _) => "An access token of Microsoft Entra ID",
    };
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some(taken.to_owned());
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    if takes_keys {
        let key = ApiKeyValue::with_description(API_KEY.as_str(), "An API key");
        components.add_security_scheme(KEY, SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
    for (route, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            if let Need::Scope(scope) = need(&method, Some(route)) {
                protect(operation, scope, takes_keys);
            }
        }
    }
}

fn protect(operation: &mut Operation, scope: Scope, takes_keys: bool) {
    let ways = [Some(BEARER), takes_keys.then_some(KEY)].into_iter().flatten();
    let required = ways.map(|way| SecurityRequirement::new(way, [scope.name()]));
    operation.security = Some(required.collect());
    let responses = &mut operation.responses.responses;
    let refused = openapi::problem("The request has no key or token that is accepted", &[]);
    responses.insert("401".to_owned(), refused);
    let lacks = format!("The key or token does not have the scope `{scope}`");
    responses.insert("403".to_owned(), openapi::problem(&lacks, &[]));
    let unavailable = openapi::problems(&[503]);
    for (status, answer) in unavailable {
        responses.entry(status).or_insert(answer);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, post, put, delete, patch, head, options, trace, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::POST, post),
        (Method::PUT, put),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
        (Method::HEAD, head),
        (Method::OPTIONS, options),
        (Method::TRACE, trace),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
