//! Parameters of paths and queries. Unknown ones, and ones that are given twice, are refused: what is
//! passed over in silence is mistyped.

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
};

use super::problem::Problem;
use crate::stream::{SequenceNumber, StreamId};

/// The stream of the path.
#[derive(Debug)]
pub(crate) struct StreamPath(pub(crate) StreamId);

/// The stream and the sequence number of the path.
#[derive(Debug)]
pub(crate) struct EventPath(pub(crate) StreamId, pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for StreamPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = raw_path(parts, state).await?;
        Ok(Self(stream(&path)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EventPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = raw_path(parts, state).await?;
        let number = whole_number("n", part(&path, "n"))?;
        let number = SequenceNumber::new(number)
            .map_err(|input| Problem::parameter("n", input.to_string()))?;
        Ok(Self(stream(&path)?, number.get()))
    }
}

async fn raw_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    let path = RawPathParams::from_request_parts(parts, state).await;
    path.map_err(|_| Problem::parameter("id", "a part of the path is not percent-encoded UTF-8"))
}

fn part<'p>(path: &'p RawPathParams, name: &str) -> &'p str {
    path.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

fn stream(path: &RawPathParams) -> Result<StreamId, Problem> {
    StreamId::new(part(path, "id")).map_err(|input| Problem::parameter("id", input.to_string()))
}

/// A part of the path by name.
#[derive(Debug)]
pub(crate) struct NamePath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(part(&raw_path(parts, state).await?, "slug").to_owned()))
    }
}

/// The processor of the path.
#[derive(Debug)]
pub(crate) struct ProcessorPath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for ProcessorPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(part(&raw_path(parts, state).await?, "processor").to_owned()))
    }
}

/// The read model of the path.
#[derive(Debug)]
pub(crate) struct ReadModelPath(pub(crate) String);

/// The read model and the stream of the path.
#[derive(Debug)]
pub(crate) struct ViewPath(pub(crate) String, pub(crate) StreamId);

/// The read model of the path and the key of a total in it.
#[derive(Debug)]
pub(crate) struct TotalPath(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for ReadModelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(part(&raw_path(parts, state).await?, "name").to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ViewPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = raw_path(parts, state).await?;
        Ok(Self(part(&path, "name").to_owned(), stream(&path)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TotalPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = raw_path(parts, state).await?;
        Ok(Self(part(&path, "name").to_owned(), part(&path, "key").to_owned()))
    }
}

/// The parameters of a query.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self(Vec::new()));
        }
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::parameter("", "the query is not percent-encoded")),
        }
    }
}

impl Parameters {
    /// Refuses any other parameter, and any that is given twice.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let detail = match known {
                    [] => "this path takes no parameters".to_owned(),
                    _ => format!("unknown; the parameters are {}", known.join(", ")),
                };
                return Err(Problem::parameter(name, detail));
            }
            if self.0.iter().take(index).any(|(other, _)| other == name) {
                return Err(Problem::parameter(name, "given twice"));
            }
        }
        Ok(())
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All parameters, as they were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that is true or false, and false unless it is given.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "true or false")),
        }
    }

    /// A parameter that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name).map(|text| whole_number(name, text)).transpose()
    }

    /// A parameter that is a sequence number.
    pub(crate) fn sequence_number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let number = self.number(name)?.map(SequenceNumber::new).transpose();
        let number = number.map_err(|input| Problem::parameter(name, input.to_string()))?;
        Ok(number.map(SequenceNumber::get))
    }

    /// How many entries a page may have.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        use super::limits::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX};
        let Some(limit) = self.number("limit")? else { return Ok(PAGE_LIMIT_DEFAULT) };
        let limit = u32::try_from(limit).ok().filter(|limit| (1..=PAGE_LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Problem::parameter("limit", format!("1 to {PAGE_LIMIT_MAX}")))
    }
}

/// Digits only: `+1` and ` 1` are not what the description says.
pub(crate) fn whole_number(name: &str, text: &str) -> Result<u64, Problem> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
    number.flatten().ok_or_else(|| Problem::parameter(name, "not a whole number"))
}
