//! Read models where nobody but the command itself works.

use serde_json::{Value, json};

use crate::cli::program::{Place, SAMPLE_EVENTS, SAMPLE_STREAMS};

/// The first line of a read model in a list.
fn line_of<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|line| line["projection"] == name).unwrap()
}

#[test]
fn a_read_model_is_built_verified_and_taken_back() {
    let place = Place::with_sample();
    let list = place.json(&["projections"]);
    let nobody = |name: &str| {
        let lines = list.as_array().unwrap().iter();
        lines.filter(|line| line["projection"] == name && line["version"].is_null()).count()
    };
    assert_eq!((nobody("stream-summary"), nobody("type-totals")), (1, 1), "{list}");
    assert!(place.run(&["projections"]).ok().contains("nobody has built it"));
    let rebuilt = place.json(&["projections", "rebuild", "stream-summary"]);
    let expected = (&json!(1), &json!(null), &json!(SAMPLE_EVENTS), &json!(true), &json!(false));
    let found = ["version", "former", "events", "live", "attended"].map(|name| &rebuilt[name]);
    assert_eq!((found[0], found[1], found[2], found[3], found[4]), expected, "{rebuilt}");
    let rebuilt = place.json(&["projections", "rebuild", "stream-summary", "--compare", "all"]);
    assert_eq!(rebuilt["drift"]["compared"], json!(SAMPLE_STREAMS));
    assert_eq!((&rebuilt["drift"]["different"], &rebuilt["former"]), (&json!(0), &json!(1)));
    let verified = place.json(&["projections", "verify", "--all"]);
    let line = &verified[0];
    assert_eq!(verified.as_array().unwrap().len(), 1, "{verified}");
    assert_eq!((&line["version"], &line["streams"]), (&json!(2), &json!(SAMPLE_STREAMS)));
    assert_eq!((&line["events"], &line["behind"]), (&json!(SAMPLE_EVENTS), &json!(0)));
    let out = place.run(&["projections", "rollback", "stream-summary"]).ok();
    assert_eq!(out, "stream-summary: version 1 is live\n");
    let cleaned = place.json(&["projections", "clean", "stream-summary"]);
    assert_eq!(cleaned, json!({"projection": "stream-summary", "removed": [2]}));
    let again = place.run(&["projections", "clean", "stream-summary"]).ok();
    assert_eq!(again, "stream-summary: nothing to remove\n");
    place.run(&["projections", "rollback", "stream-summary"]).failed(1, "no previous version");
    place
        .run(&["projections", "clean", "stream-summary", "--version", "1"])
        .failed(1, "readers use it");
    // Two from each end of every shard, and shards have about two.
    let sample = ["--no-switch", "--compare", "64"];
    let kept = place.json(&[&["projections", "rebuild", "stream-summary"], &sample[..]].concat());
    assert_eq!((&kept["version"], &kept["live"]), (&json!(3), &json!(false)));
    let compared = kept["drift"]["compared"].as_u64().unwrap();
    assert!((1..=SAMPLE_STREAMS).contains(&compared), "none is compared twice: {compared}");
    let verify = ["projections", "verify", "stream-summary", "--version", "3"];
    let out = place.run(&verify).ok();
    assert_eq!(
        out,
        "stream-summary version 3: 40 streams and 330 events replayed, no difference\n"
    );
}

#[test]
fn what_nobody_keeps_up_to_date_is_not_gone_back_to() {
    let place = Place::with_sample();
    for _ in 0..2 {
        place.json(&["projections", "rebuild", "stream-summary", "--compare", "none"]);
    }
    // The places of both say that nothing is behind: that was so when they were written.
    place.run(&["append", "new-1", "--type", "Tested", "--data", "{}"]).ok();
    let back = ["projections", "rollback", "stream-summary"];
    place.run(&back).failed(1, "version 1 is behind");
    let list = place.json(&["projections", "list"]);
    assert_eq!(line_of(&list, "stream-summary")["lagTransactions"], json!(1), "{list}");
    // Nobody says that something is missing that nobody was to have done.
    let verified = place.json(&["projections", "verify", "stream-summary"]);
    let line = &verified[0];
    assert_eq!((&line["behind"], &line["drift"]["different"]), (&json!(1), &json!(0)));
}

#[test]
fn views_and_totals_are_read() {
    let place = Place::with_sample();
    let not_built = place.run(&["projections", "view", "stream-summary", "quote-1"]);
    not_built.failed(1, "start `cosmos-es worker`");
    for name in ["stream-summary", "type-totals"] {
        place.json(&["projections", "rebuild", name]);
    }
    let view = place.json(&["projections", "view", "stream-summary", "quote-1"]);
    assert_eq!((&view["stream"], &view["data"]["events"]), (&json!("quote-1"), &json!(7)));
    let out = place.run(&["projections", "view", "stream-summary", "quote-1"]).ok();
    assert!(out.contains("lastType       QuoteApproved\n"), "{out}");
    let sorted = ["projections", "views", "stream-summary", "--sort", "-lastAt", "--limit", "15"];
    let (mut streams, mut events, mut times) = (Vec::new(), 0, Vec::new());
    let mut page = place.json(&sorted);
    loop {
        for item in page["items"].as_array().unwrap() {
            streams.push(item["stream"].as_str().unwrap().to_owned());
            events += item["data"]["events"].as_u64().unwrap();
            times.push(item["data"]["lastAt"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        page = place.json(&[&sorted[..], &["--page", next]].concat());
    }
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    assert_eq!(events, SAMPLE_EVENTS);
    streams.sort();
    streams.dedup();
    assert_eq!(streams.len() as u64, SAMPLE_STREAMS);
    let filter = ["projections", "views", "stream-summary", "--filter", "lastType=QuoteExpired"];
    let found = place.json(&filter);
    let items = found["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|one| one["data"]["lastType"] == "QuoteExpired"));
    let total = place.json(&["projections", "totals", "type-totals", "QuoteInitiated"]);
    assert_eq!((&total["streams"], &total["values"]["events"]), (&json!(40), &json!(40)));
    let totals = place.json(&["projections", "totals", "type-totals"]);
    let events = totals["items"].as_array().unwrap().iter();
    let events: u64 = events.map(|one| one["values"]["events"].as_u64().unwrap()).sum();
    assert_eq!(events, SAMPLE_EVENTS);
    let list = place.json(&["projections"]);
    let types = totals["items"].as_array().unwrap().len();
    assert_eq!(line_of(&list, "type-totals")["views"], json!(types), "{list}");
}

#[test]
fn wrong_names_and_places_are_told() {
    let place = Place::with_sample();
    for action in ["rebuild", "verify", "rollback", "clean", "views", "totals"] {
        let ran = place.run(&["projections", action, "quotes!"]);
        ran.failed(2, "this program has");
    }
    place.json(&["projections", "rebuild", "stream-summary"]);
    let run = |args: &[&str]| place.run(&[&["projections"], args].concat());
    run(&["verify", "stream-summary", "--version", "7"]).failed(2, "has no version 7");
    run(&["clean", "stream-summary", "--version", "7"]).failed(1, "there is no version 7");
    run(&["totals", "stream-summary"]).failed(2, "views of the other kind");
    run(&["views", "stream-summary", "--sort", "nothing"]).failed(2, "no field \"nothing\"");
    run(&["views", "stream-summary", "--page", "x"]).failed(2, "not a token");
    run(&["view", "stream-summary", "quote-0"]).failed(1, "no view of quote-0");
    assert_eq!(run(&["rebuild", "stream-summary", "--compare", "some"]).code, 2);
    assert_eq!(run(&["verify"]).code, 2);
    let nowhere = Place::new();
    nowhere.run(&["projections"]).failed(2, "there is no data folder");
}
