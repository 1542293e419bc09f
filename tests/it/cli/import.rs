//! `import`: once, again, in part, and of files that are not as they should be.

use serde_json::{Value, json};

use super::program::{Place, SAMPLE, SAMPLE_EVENTS, SAMPLE_STREAMS, line};

/// The counts of a report.
fn counts(report: &Value) -> [u64; 4] {
    ["appended", "repeated", "failed", "streams"].map(|name| report[name].as_u64().unwrap())
}

/// The lines that failed, with their messages.
fn problems(report: &Value) -> Vec<(u64, String)> {
    let problems = report["problems"].as_array().unwrap();
    let problem = |problem: &Value| {
        let message = problem["message"].as_str().unwrap().to_owned();
        (problem["line"].as_u64().unwrap(), message)
    };
    problems.iter().map(problem).collect()
}

/// The data of a stream's events.
fn data(place: &Place, stream: &str) -> Vec<u64> {
    let events = place.json(&["read", stream]);
    events.as_array().unwrap().iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
}

#[test]
fn a_second_import_appends_nothing_and_says_so() {
    let place = Place::new();
    let first = place.json(&["import", SAMPLE]);
    assert_eq!(counts(&first), [SAMPLE_EVENTS, 0, 0, SAMPLE_STREAMS]);
    assert_eq!(first["complete"], json!(true));
    assert!(first["seconds"].as_f64().unwrap() > 0.0);
    assert!(first["requestCharge"].as_f64().unwrap() > 0.0);
    assert!(first["roundTrips"].as_u64().unwrap() >= SAMPLE_STREAMS);
    let second = place.json(&["import", SAMPLE]);
    assert_eq!(counts(&second), [0, SAMPLE_EVENTS, 0, SAMPLE_STREAMS]);
    let out = place.run(&["import", SAMPLE]).ok();
    assert!(out.starts_with("0 appended, 330 repeated, 0 failed; 40 streams in"), "{out}");
    assert!(out.ends_with("nothing to do: every event was stored already\n"), "{out}");
    let stats = place.json(&["stats"]);
    assert_eq!((&stats["streams"], &stats["events"]), (&json!(40), &json!(330)));
}

#[test]
fn a_suffix_makes_other_streams_of_the_same_log() {
    let place = Place::with_sample();
    let copy = place.json(&["import", SAMPLE, "--stream-suffix", "-copy"]);
    assert_eq!(counts(&copy), [SAMPLE_EVENTS, 0, 0, SAMPLE_STREAMS]);
    assert_eq!(place.json(&["stats"])["streams"], json!(80));
    let (original, copy) =
        (place.json(&["read", "quote-1"]), place.json(&["read", "quote-1-copy"]));
    assert_eq!(original[0]["data"], copy[0]["data"]);
    assert_eq!(copy[0]["aggregateType"], json!("quote"));
    assert_ne!(original[0]["eventId"], copy[0]["eventId"]);
}

#[test]
fn a_missing_tail_is_appended() {
    let place = Place::new();
    let half = (1..=3).map(|number| line("a-1", number, number)).collect::<String>();
    let whole = (1..=250).map(|number| line("a-1", number, number)).collect::<String>();
    assert_eq!(
        counts(&place.run_with_input(&["import", "-", "--output", "json"], &half).json()),
        [3, 0, 0, 1]
    );
    let file = place.file("whole.jsonl", &whole);
    assert_eq!(counts(&place.json(&["import", &file])), [247, 3, 0, 1]);
    assert_eq!(data(&place, "a-1"), (1..=250).collect::<Vec<_>>());
    // What is stored beyond the file is nobody's business.
    let file = place.file("half.jsonl", &half);
    assert_eq!(counts(&place.json(&["import", &file])), [0, 3, 0, 1]);
}

#[test]
fn streams_that_look_new_and_are_not_are_compared() {
    let place = Place::new();
    let stream = |number: u64| format!("s-{number}");
    let known = (1..=40).filter(|number| number % 7 == 0).map(|number| line(&stream(number), 1, 0));
    place.run_with_input(&["import", "-"], &known.collect::<String>()).ok();
    let all =
        (1..=40).flat_map(|number| [line(&stream(number), 1, 0), line(&stream(number), 2, 0)]);
    let file = place.file("all.jsonl", &all.collect::<String>());
    assert_eq!(counts(&place.json(&["import", &file, "--concurrency", "1"])), [75, 5, 0, 40]);
}

#[test]
fn bad_lines_are_reported_with_their_numbers() {
    let place = Place::new();
    let text = [
        line("a-1", 1, 1),
        "{\"aggregateId\":\"a-1\"\n".to_owned(),
        "\n".to_owned(),
        line("a-1", 2, 2),
        line("b-1", 1, 1).replace("\"n\":1", "\"n\":12345678901234567890"),
        line("c-1", 1, 1).replace("Z\"", "\""),
        line("d-1", 1, 1),
    ]
    .concat();
    let file = place.file("bad.jsonl", &text);
    let ran = place.run(&["import", &file, "--on-error", "continue", "--output", "json"]);
    ran.failed(1, "3 lines not imported");
    let report = ran.json();
    assert_eq!(counts(&report), [3, 0, 3, 2]);
    assert_eq!(report["complete"], json!(true));
    let problems = problems(&report);
    assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5, 6]);
    assert!(problems[1].1.contains("data at \"/n\": the integer 12345678901234567890"));
    assert!(ran.err.contains("line 6: `time` is not an RFC 3339 time"), "{}", ran.err);
}

#[test]
fn an_import_stops_at_a_bad_line_unless_told_otherwise() {
    let place = Place::new();
    let text = [line("a-1", 1, 1), "nonsense\n".to_owned(), line("b-1", 1, 1)].concat();
    let file = place.file("bad.jsonl", &text);
    let ran = place.run(&["import", &file, "--output", "json"]);
    ran.failed(1, "1 line not imported");
    let report = ran.json();
    assert_eq!(counts(&report), [1, 0, 1, 1]);
    assert_eq!(report["complete"], json!(false));
    // What stood before it is stored, what stands behind it is not.
    assert_eq!(data(&place, "a-1"), [1]);
    assert_eq!(place.json(&["read", "b-1"]), json!([]));
}

#[test]
fn what_is_stored_otherwise_is_reported_and_left_alone() {
    let place = Place::new();
    let text: String = (1..=3).map(|number| line("a-1", number, number)).collect();
    place.run_with_input(&["import", "-"], &text).ok();
    let other = [
        line("a-1", 1, 1),
        line("a-1", 2, 77),
        line("a-1", 3, 3),
        line("a-1", 4, 4),
        line("b-1", 1, 1),
    ];
    let file = place.file("other.jsonl", &other.concat());
    let ran = place.run(&["import", &file, "--on-error", "continue", "--output", "json"]);
    let report = ran.json();
    assert_eq!(counts(&report), [1, 2, 2, 2]);
    let problems = problems(&report);
    assert_eq!(
        problems,
        [
            (2, "event 2 of a-1: another event is stored in its place (data)".to_owned()),
            (4, "event 4 of a-1: the stream differs since line 2".to_owned()),
        ]
    );
    assert_eq!(data(&place, "a-1"), [1, 2, 3]);
    assert_eq!(data(&place, "b-1"), [1]);
}

#[test]
fn gaps_are_errors_and_repeated_lines_are_not() {
    let place = Place::new();
    let lines = [
        line("a-1", 1, 1),
        line("a-1", 1, 1),
        line("a-1", 3, 3),
        line("a-1", 4, 4),
        line("b-1", 2, 2),
        line("b-1", 1, 1),
    ];
    let file = place.file("gaps.jsonl", &lines.concat());
    let ran = place.run(&["import", &file, "--on-error", "continue", "--output", "json"]);
    let report = ran.json();
    assert_eq!(counts(&report), [2, 1, 3, 2]);
    assert_eq!(
        problems(&report),
        [
            (
                3,
                "event 3 of a-1: sequence number 3 does not follow 1, where the stream ends"
                    .to_owned()
            ),
            (4, "event 4 of a-1: not imported because line 3 was not".to_owned()),
            (
                5,
                "event 2 of b-1: sequence number 2 does not follow 0, where the stream ends"
                    .to_owned()
            ),
        ]
    );
    assert_eq!(data(&place, "a-1"), [1]);
    assert_eq!(data(&place, "b-1"), [1]);
}

#[test]
fn an_event_id_is_used_once_in_a_stream() {
    let place = Place::new();
    let with_id = |number| {
        let id = "\"eventId\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\",\"data\"";
        line("a-1", number, number).replace("\"data\"", id)
    };
    place.run_with_input(&["import", "-"], &with_id(1)).ok();
    let ran = place.run_with_input(&["import", "-"], &with_id(2));
    ran.failed(1, "1 line not imported");
    assert!(ran.err.contains("is stored already, as number 1"), "{}", ran.err);
}

#[test]
fn the_kind_of_file_is_told_by_its_content() {
    use std::io::Write as _;
    let place = Place::new();
    let file = std::fs::File::create(place.path("log")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(line("a-1", 1, 1).as_bytes()).unwrap();
    gzip.finish().unwrap();
    assert_eq!(counts(&place.json(&["import", &place.path("log")])), [1, 0, 0, 1]);
    let bytes = std::fs::read(place.path("log")).unwrap();
    std::fs::write(place.path("cut.gz"), &bytes[..bytes.len() - 6]).unwrap();
    place.run(&["import", &place.path("cut.gz")]).failed(1, "cut.gz: behind line");
    place.run(&["import", &place.path("missing")]).failed(1, "No such file");
    assert_eq!(counts(&place.json(&["import", &place.file("empty", "")])), [0, 0, 0, 0]);
}
