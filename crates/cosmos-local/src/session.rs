//! Session tokens: how far a client has seen each partition.
//!
//! The service writes `range:version#lsn#region=lsn,..`; older forms are `range:lsn` and
//! `range:-1#lsn`. With one region only the range and the global LSN decide, so the rest is
//! checked for form and dropped.

/// A session token that has none of the known forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session token {0:?} is not valid")]
pub(crate) struct SessionError(String);

/// Reads the parts of a request's token: partition range id and LSN each.
pub(crate) fn parse(token: &str) -> Result<Vec<(u32, u64)>, SessionError> {
    let mut parts = Vec::new();
    for part in token.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        // Regions are also separated by commas in some tokens: `0:1#9#1=8,2=7`.
        if parts.is_empty() || part.contains(':') {
            parts.push(parse_part(part).ok_or_else(|| SessionError(part.to_owned()))?);
        } else {
            parse_region(part).ok_or_else(|| SessionError(part.to_owned()))?;
        }
    }
    Ok(parts)
}

/// The token that an answer carries.
pub(crate) fn format(range: u32, lsn: u64) -> String {
    format!("{range}:-1#{lsn}")
}

fn parse_part(part: &str) -> Option<(u32, u64)> {
    let (range, value) = part.split_once(':')?;
    let range = range.parse().ok()?;
    let mut fields = value.split('#');
    let first = fields.next()?;
    let Some(lsn) = fields.next() else { return Some((range, first.parse().ok()?)) };
    let _version: i64 = first.parse().ok()?;
    for region in fields {
        parse_region(region)?;
    }
    Some((range, lsn.parse().ok()?))
}

fn parse_region(region: &str) -> Option<()> {
    let (id, lsn) = region.split_once('=')?;
    let _id: u32 = id.parse().ok()?;
    // A region that has not caught up yet is written as -1.
    let _lsn: i64 = lsn.parse().ok()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("0:42"), Ok(vec![(0, 42)]));
        assert_eq!(parse("3:-1#42"), Ok(vec![(3, 42)]));
        assert_eq!(parse("0:1#100#1=20#2=-1"), Ok(vec![(0, 100)]));
        assert_eq!(parse("0:1#100#1=20,2=5"), Ok(vec![(0, 100)]));
        assert_eq!(parse("0:1#100#1=20, 7:-1#5,8:9"), Ok(vec![(0, 100), (7, 5), (8, 9)]));
        assert_eq!(parse(&format(5, u64::MAX)), Ok(vec![(5, u64::MAX)]));
    }

    #[test]
    fn the_answer_has_the_one_region_form() {
        assert_eq!(format(0, 42), "0:-1#42");
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["x", "0", "0:", ":1", "0:a", "0:1#", "0:1#2#x", "0:1#2#1=y", "0:1,z", "-1:5"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
