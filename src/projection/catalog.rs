//! The projections that a program has.

use std::collections::BTreeMap;

use super::{
    Code, InvalidDefinition, Projection, Totals, Views,
    generic::{StreamSummary, TypeTotals},
};

/// The projections that a program has, by name.
///
/// ```
/// use cosmos_event_store::projection::{Catalog, generic::StreamSummary};
///
/// let catalog = Catalog::new().with_views(StreamSummary)?;
/// assert_eq!(catalog.names().collect::<Vec<_>>(), ["stream-summary"]);
/// # Ok::<(), cosmos_event_store::projection::InvalidDefinition>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Catalog {
    projections: BTreeMap<String, Projection>,
}

impl Catalog {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pair that works for any log: a summary of each stream, and totals by type of event.
    ///
    /// # Errors
    ///
    /// None in this version.
    pub fn generic() -> Result<Self, InvalidDefinition> {
        Self::new().with_views(StreamSummary)?.with_totals(TypeTotals)
    }

    /// Adds a projection with views of streams.
    ///
    /// # Errors
    ///
    /// [`InvalidDefinition`].
    pub fn with_views(self, views: impl Views) -> Result<Self, InvalidDefinition> {
        self.with(Projection::views(views)?)
    }

    /// Adds a projection with totals over streams.
    ///
    /// # Errors
    ///
    /// [`InvalidDefinition`].
    pub fn with_totals(self, totals: impl Totals) -> Result<Self, InvalidDefinition> {
        self.with(Projection::totals(totals)?)
    }

    fn with(mut self, projection: Projection) -> Result<Self, InvalidDefinition> {
        let name = projection.definition().name.clone();
        match self.projections.insert(name, projection) {
            None => Ok(self),
            Some(former) => Err(InvalidDefinition::DeclaredTwice(former.definition().name.clone())),
        }
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.projections.keys().map(String::as_str)
    }

    /// The projections, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Projection> {
        self.projections.values()
    }

    /// The projection with a name.
    pub fn get(&self, name: &str) -> Option<&Projection> {
        self.projections.get(name)
    }
}

impl Projection {
    /// Its code, as far as it tells versions apart.
    pub fn code(&self) -> Code {
        Code { version: self.definition().version, shards: self.definition().shards }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let catalog = Catalog::generic().unwrap();
        assert_eq!(catalog.names().collect::<Vec<_>>(), ["stream-summary", "type-totals"]);
        let twice = catalog.with_views(StreamSummary).unwrap_err();
        assert_eq!(twice, InvalidDefinition::DeclaredTwice("stream-summary".to_owned()));
    }
}
