//! What the checks make of what was found.

use super::*;

fn account(consistency: &str, served_at: Option<&str>) -> AccountProperties {
    AccountProperties::new(["West Europe"], ["West Europe", "North Europe"], consistency)
        .with_served_at(served_at.map(|time| time.parse().unwrap()))
}

#[test]
fn regions_and_consistency_are_told_apart() {
    let states = |account: &AccountProperties| of_account(account).map(|finding| finding.state);
    let mut found = account("Session", None);
    assert_eq!(states(&found), [State::Ok, State::Ok]);
    found.has_multiple_write_regions = true;
    assert_eq!(states(&found), [State::Failed, State::Ok]);
    assert_eq!(states(&account("Eventual", None)), [State::Ok, State::Failed]);
}

#[test]
fn a_region_is_compared_as_the_service_does() {
    let state = |region| of_region(region, &account("Session", None)).state;
    assert_eq!(state(None), State::Ok);
    assert_eq!(state(Some("westeurope")), State::Ok);
    assert_eq!(state(Some("North Europe")), State::Ok);
    assert_eq!(state(Some("West US")), State::Warning);
}

#[test]
fn a_clock_is_wrong_by_what_the_answer_cannot_explain() {
    let of = |served: &str, asked: &str, took| {
        let served = served.parse().unwrap();
        of_clock(Some(served), asked.parse().unwrap(), Duration::from_millis(took))
    };
    let at = "2026-11-20T10:00:00Z";
    // The time of the service is cut to the second, and the answer takes its time.
    assert_eq!(of(at, "2026-11-20T10:00:00.900Z", 5).state, State::Ok);
    assert_eq!(of(at, "2026-11-20T09:59:57Z", 3000).state, State::Ok);
    assert_eq!(of(at, "2026-11-20T09:59:55.100Z", 10).state, State::Ok);
    let behind = of(at, "2026-11-20T09:59:50Z", 10);
    assert_eq!(behind.state, State::Warning);
    assert!(behind.found.contains("9990 ms behind"), "{}", behind.found);
    let ahead = of(at, "2026-11-20T10:00:09Z", 10);
    assert_eq!(ahead.state, State::Warning);
    assert!(ahead.found.contains("8000 ms ahead of"), "{}", ahead.found);
    assert_eq!(of(at, "2026-11-20T10:20:00Z", 10).state, State::Failed);
    assert_eq!(of(at, "2026-11-20T09:40:00Z", 10).state, State::Failed);
    let silent = of_clock(None, at.parse().unwrap(), Duration::ZERO);
    assert_eq!(silent.state, State::Skipped);
}

#[test]
fn permissions_that_lack_are_named_with_their_container() {
    assert_eq!(of_documents(Ok(Vec::new())).state, State::Ok);
    let lacks = of_documents(Ok(vec![("events".to_owned(), vec!["read", "write"])]));
    assert_eq!(
        (lacks.state, lacks.found.as_str()),
        (State::Failed, "events: may not read or write")
    );
    assert!(lacks.mend.unwrap().contains("role assignment create"));
}

#[test]
fn every_failure_says_how_to_mend_it() {
    let unfit = ProvisionError::Unfit { database: "d".to_owned(), problems: vec!["x".to_owned()] };
    let denied = denied("identity", &AccountFault::Denied { status: 403, served_at: None });
    for finding in [of_containers(&Err(unfit), false), denied] {
        assert_eq!(finding.state, State::Failed);
        assert!(finding.mend.is_some_and(|mend| mend.len() > 10));
    }
}
