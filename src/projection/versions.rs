//! Which versions there are of a read model, and what may become of them: pure.
//!
//! At most one is live: it is the one that readers are given. Numbers are never used twice.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a version is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VersionState {
    /// It is built beside the live one.
    Building,
    /// Readers use it.
    Live,
    /// It was live. It is kept up to date, so that readers can go back to it.
    Previous,
    /// Its documents are being removed.
    Removing,
}

/// A version of a read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Version {
    /// The number under which its documents stand.
    pub number: u32,
    /// The version of the code that makes it.
    pub code: u32,
    /// In how many logical partitions it is.
    pub shards: u16,
    /// What it is for.
    pub state: VersionState,
    /// Since when, in seconds since 1970, UTC.
    pub since: i64,
    /// Whether it becomes live as soon as it has caught up, without an operator.
    #[serde(default)]
    pub is_automatic: bool,
}

/// The versions of one read model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Versions {
    /// In the order in which they were made.
    pub versions: Vec<Version>,
    /// The largest number that was ever given.
    pub last_number: u32,
}

/// Why a version cannot become what it was to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VersionFault {
    /// There is no such version.
    #[error("there is no version {0}")]
    Unknown(u32),
    /// There is none to go back to.
    #[error("there is no previous version to go back to")]
    NoPrevious,
    /// Readers use it.
    #[error("version {0} is live: readers use it")]
    IsLive(u32),
    /// Its documents are being removed.
    #[error("version {0} is being removed")]
    IsRemoving(u32),
    /// The code is older than what is there.
    #[error(
        "the read model was made by version {found} of its projection, and this program has version \
         {code}: run the program that made it, or a newer one"
    )]
    OlderCode {
        /// The version of the code at hand.
        code: u32,
        /// The newest that was seen.
        found: u32,
    },
}

/// The code of a projection, as far as it tells versions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its version.
    pub version: u32,
    /// In how many logical partitions it puts documents.
    pub shards: u16,
}

impl Versions {
    /// The one that readers use.
    pub fn live(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.state == VersionState::Live)
    }

    /// The one with a number.
    pub fn get(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The versions that this code keeps up to date.
    pub fn of_code(&self, code: Code) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(move |version| {
            let is_mine = (version.code, version.shards) == (code.version, code.shards);
            is_mine && version.state != VersionState::Removing
        })
    }

    /// Makes sure that there is a version of this code: the first one is live at once, that of a newer code
    /// is built beside the live one. Says whether something has changed.
    ///
    /// # Errors
    ///
    /// [`VersionFault::OlderCode`].
    pub fn register(&mut self, code: Code, now: i64) -> Result<bool, VersionFault> {
        if self.of_code(code).next().is_some() {
            return Ok(false);
        }
        let newest = self.versions.iter().map(|version| version.code).max().unwrap_or_default();
        if code.version < newest {
            return Err(VersionFault::OlderCode { code: code.version, found: newest });
        }
        let is_first = self.live().is_none();
        let state = if is_first { VersionState::Live } else { VersionState::Building };
        self.add(code, state, !is_first, now);
        Ok(true)
    }

    /// Begins another version beside the live one, or goes on with one of the same code that was begun.
    /// Where none is live, nobody has to compare anything: it becomes so by itself.
    ///
    /// # Errors
    ///
    /// [`VersionFault::OlderCode`]: readers do not go from newer views to older ones.
    pub fn begin(&mut self, code: Code, now: i64) -> Result<u32, VersionFault> {
        let live = self.live().map(|live| live.code);
        if let Some(found) = live.filter(|found| code.version < *found) {
            return Err(VersionFault::OlderCode { code: code.version, found });
        }
        let begun = self.of_code(code).find(|version| version.state == VersionState::Building);
        if let Some(begun) = begun {
            return Ok(begun.number);
        }
        Ok(self.add(code, VersionState::Building, live.is_none(), now))
    }

    /// The number of the version that is made next.
    pub fn next_number(&self) -> u32 {
        self.last_number.saturating_add(1)
    }

    fn add(&mut self, code: Code, state: VersionState, is_automatic: bool, now: i64) -> u32 {
        let number = self.next_number();
        self.last_number = number;
        let Code { version: code, shards } = code;
        self.versions.push(Version { number, code, shards, state, since: now, is_automatic });
        number
    }

    /// Leaves it to an operator when a version becomes live, where readers have another one.
    pub fn hold(&mut self, number: u32) {
        if self.live().is_none() {
            return;
        }
        if let Some(version) = self.versions.iter_mut().find(|version| version.number == number) {
            version.is_automatic = false;
        }
    }

    /// Lets readers use a version that becomes live by itself, if it is still to do so. Says whether
    /// something has changed.
    pub fn switch_by_itself(&mut self, number: u32, now: i64) -> bool {
        let is_due =
            |version: &Version| version.is_automatic && version.state == VersionState::Building;
        self.get(number).is_some_and(is_due) && self.switch(number, now).unwrap_or_default()
    }

    /// Lets readers use a version from now on; the one that they used becomes the previous one. Says whether
    /// something has changed.
    ///
    /// # Errors
    ///
    /// [`VersionFault::Unknown`] and [`VersionFault::IsRemoving`].
    pub fn switch(&mut self, number: u32, now: i64) -> Result<bool, VersionFault> {
        let state = self.get(number).ok_or(VersionFault::Unknown(number))?.state;
        match state {
            VersionState::Live => return Ok(false),
            VersionState::Removing => return Err(VersionFault::IsRemoving(number)),
            VersionState::Building | VersionState::Previous => {}
        }
        for version in &mut self.versions {
            let state = match (version.number == number, version.state) {
                (true, _) => VersionState::Live,
                (false, VersionState::Live) => VersionState::Previous,
                (false, other) => other,
            };
            if version.state != state {
                (version.state, version.since) = (state, now);
            }
        }
        Ok(true)
    }

    /// The version that readers would go back to: of those that were live, the one that was so last.
    ///
    /// # Errors
    ///
    /// [`VersionFault::NoPrevious`].
    pub fn previous(&self) -> Result<&Version, VersionFault> {
        let previous = |version: &&Version| version.state == VersionState::Previous;
        let newest = |version: &&Version| (version.since, version.number);
        self.versions.iter().filter(previous).max_by_key(newest).ok_or(VersionFault::NoPrevious)
    }

    /// Gives a version up: nobody keeps it up to date any more, and its documents can be removed.
    ///
    /// # Errors
    ///
    /// [`VersionFault::Unknown`] and [`VersionFault::IsLive`].
    pub fn give_up(&mut self, number: u32, now: i64) -> Result<(), VersionFault> {
        let found = self.versions.iter_mut().find(|version| version.number == number);
        let version = found.ok_or(VersionFault::Unknown(number))?;
        if version.state == VersionState::Live {
            return Err(VersionFault::IsLive(number));
        }
        if version.state != VersionState::Removing {
            (version.state, version.since) = (VersionState::Removing, now);
        }
        Ok(())
    }

    /// Forgets a version whose documents are removed.
    pub fn forget(&mut self, number: u32) {
        self.versions
            .retain(|version| version.number != number || version.state != VersionState::Removing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Code = Code { version: 1, shards: 16 };
    const TWO: Code = Code { version: 2, shards: 16 };

    fn states(versions: &Versions) -> Vec<(u32, VersionState)> {
        versions.versions.iter().map(|version| (version.number, version.state)).collect()
    }

    #[test]
    fn the_first_version_is_live_and_a_newer_code_is_built_beside_it() {
        use VersionState::{Building, Live, Previous};
        let mut versions = Versions::default();
        assert_eq!(versions.register(ONE, 1), Ok(true));
        assert_eq!(versions.register(ONE, 2), Ok(false));
        assert_eq!(versions.register(TWO, 3), Ok(true));
        assert_eq!(states(&versions), [(1, Live), (2, Building)]);
        assert!(versions.get(2).unwrap().is_automatic);
        // The older program goes on with its version as long as it is there.
        assert_eq!(versions.register(ONE, 4), Ok(false));
        assert_eq!(versions.switch(2, 5), Ok(true));
        assert_eq!(versions.switch(2, 6), Ok(false));
        assert_eq!(states(&versions), [(1, Previous), (2, Live)]);
        versions.give_up(1, 7).unwrap();
        let older = VersionFault::OlderCode { code: 1, found: 2 };
        versions.forget(1);
        assert_eq!(versions.register(ONE, 8), Err(older));
        // Other shards are other documents.
        assert_eq!(versions.register(Code { version: 2, shards: 4 }, 9), Ok(true));
        assert_eq!(states(&versions), [(2, Live), (3, Building)]);
    }

    #[test]
    fn a_rebuild_is_not_of_older_code_and_needs_nobody_where_it_is_the_first() {
        let mut versions = Versions::default();
        assert_eq!(versions.begin(TWO, 1), Ok(1));
        assert!(versions.get(1).unwrap().is_automatic);
        versions.switch(1, 2).unwrap();
        assert_eq!(versions.begin(ONE, 3), Err(VersionFault::OlderCode { code: 1, found: 2 }));
        assert_eq!(versions.begin(TWO, 3), Ok(2));
        assert!(!versions.get(2).unwrap().is_automatic);
    }

    #[test]
    fn what_an_operator_holds_does_not_become_live_by_itself() {
        let mut versions = Versions::default();
        versions.begin(ONE, 1).unwrap();
        versions.hold(1);
        assert!(versions.switch_by_itself(1, 2), "readers have nothing else");
        assert!(!versions.switch_by_itself(1, 3));
        versions.register(TWO, 4).unwrap();
        assert_eq!(versions.begin(TWO, 5), Ok(2));
        versions.hold(2);
        assert!(!versions.switch_by_itself(2, 6));
        assert_eq!(states(&versions), [(1, VersionState::Live), (2, VersionState::Building)]);
        assert_eq!(versions.switch(2, 7), Ok(true));
        versions.switch(1, 8).unwrap();
        versions.register(Code { version: 3, ..ONE }, 9).unwrap();
        assert!(versions.switch_by_itself(3, 10));
        versions.switch(1, 11).unwrap();
        assert!(!versions.switch_by_itself(3, 12), "readers went back");
        assert!(!versions.switch_by_itself(9, 13));
    }

    #[test]
    fn readers_go_back_to_the_version_that_was_live_last() {
        let mut versions = Versions::default();
        versions.register(ONE, 1).unwrap();
        assert_eq!(versions.previous().unwrap_err(), VersionFault::NoPrevious);
        for now in [2, 3] {
            let number = versions.begin(ONE, now).unwrap();
            assert_eq!(versions.begin(ONE, now), Ok(number), "one that was begun goes on");
            versions.switch(number, now).unwrap();
        }
        assert_eq!(versions.previous().unwrap().number, 2);
        versions.switch(2, 4).unwrap();
        assert_eq!((versions.live().unwrap().number, versions.previous().unwrap().number), (2, 3));
    }

    #[test]
    fn what_readers_use_is_not_removed_and_numbers_are_not_used_again() {
        let mut versions = Versions::default();
        versions.register(ONE, 1).unwrap();
        let number = versions.begin(ONE, 2).unwrap();
        assert_eq!(versions.give_up(1, 3), Err(VersionFault::IsLive(1)));
        assert_eq!(versions.give_up(9, 3), Err(VersionFault::Unknown(9)));
        versions.forget(number);
        assert!(versions.get(number).is_some(), "it was not given up");
        versions.give_up(number, 3).unwrap();
        assert_eq!(versions.switch(number, 4), Err(VersionFault::IsRemoving(number)));
        assert!(versions.of_code(ONE).all(|version| version.number == 1));
        versions.forget(number);
        assert_eq!(versions.begin(ONE, 5), Ok(number + 1));
    }
}
