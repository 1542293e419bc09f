//! Processes: joining, following, stopping, and dying in the middle.

use std::process::Stdio;

use serde_json::{Value, json};

use super::program::{Place, Running, SAMPLE, SAMPLE_EVENTS, line};

/// Starts the endpoint on the place's folder, and waits until it is ready.
fn local(place: &Place) -> (Running, Value) {
    let mut local = place.spawn(&["local", "--port", "0", "--output", "json"]);
    let ready = serde_json::from_str(&local.line()).unwrap();
    (local, ready)
}

#[test]
fn commands_join_the_process_that_runs_on_their_folder() {
    let place = Place::new();
    let (local, ready) = local(&place);
    let endpoint = ready["endpoint"].as_str().unwrap();
    for name in ["key", "managementEndpoint", "connectionString", "dataDir"] {
        assert!(ready[name].is_string(), "{ready}");
    }
    let ran = place.run(&["import", SAMPLE, "-v"]);
    assert!(ran.err.contains("joined a running endpoint"), "{}", ran.err);
    assert!(!ran.err.contains("started an endpoint"), "{}", ran.err);
    // By its address, as an application would.
    let stats = super::program::program(&["stats", "--endpoint", endpoint, "--output", "json"]);
    let output = { stats }.output().unwrap();
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stats["events"], json!(SAMPLE_EVENTS));
    local.interrupt();
    assert_eq!(local.wait().code, 0);
    assert_eq!(place.json(&["stats"])["events"], json!(SAMPLE_EVENTS));
}

#[test]
fn an_endpoint_without_the_store_says_how_to_make_it() {
    let place = Place::new();
    let (_local, ready) = local(&place);
    let endpoint = ready["endpoint"].as_str().unwrap();
    let run = |args: &[&str]| {
        let mut command = super::program::program(args);
        let output = command.args(["--endpoint", endpoint]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run(&["stats"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("(`cosmos-es provision` makes it ready)"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert_eq!(run(&["provision"]).0, Some(0));
    assert_eq!(run(&["stats"]), (Some(0), String::new()));
    let (code, err) = run(&["stats", "--key", "d3Jvbmc="]);
    assert_eq!(code, Some(1));
    assert!(err.contains("access was denied") && !err.contains("d3Jvbmc="), "{err}");
}

#[test]
fn a_tail_from_the_start_has_every_event_in_order() {
    let place = Place::with_sample();
    let ran = place.run(&["tail", "--from-start", "--no-follow", "--output", "json"]);
    let events = ran.json_lines();
    assert_eq!(events.len(), usize::try_from(SAMPLE_EVENTS).unwrap());
    let of_stream: Vec<_> =
        events.iter().filter(|event| event["aggregateId"] == "quote-7").cloned().collect();
    assert_eq!(Value::from(of_stream), place.json(&["read", "quote-7"]));
    let out = place.run(&["tail", "--from-start", "--limit", "3"]).ok();
    assert_eq!(out.lines().count(), 3);
    assert_eq!(place.run(&["tail", "--no-follow"]).ok(), "");
}

#[test]
fn a_tail_follows_what_others_store() {
    let place = Place::with_sample();
    let (_local, _) = local(&place);
    let mut from_now = place.spawn(&["tail", "--output", "json", "-v"]);
    from_now.wait_for("waiting for events");
    let mut limited = place.spawn(&["tail", "--limit", "2", "--output", "json", "-v"]);
    limited.wait_for("waiting for events");
    for number in 1..=3 {
        let data = json!({"n": number}).to_string();
        place.run(&["append", "new-1", "--type", "Tested", "--data", &data]).ok();
    }
    for number in 1..=3 {
        let event: Value = serde_json::from_str(&from_now.line()).unwrap();
        assert_eq!(event["aggregateId"], "new-1");
        assert_eq!(event["data"]["n"], json!(number));
    }
    let ran = limited.wait();
    assert_eq!((ran.code, ran.json_lines().len()), (0, 2));
    from_now.interrupt();
    assert_eq!(from_now.wait().code, 0);
}

#[test]
fn ctrl_c_stops_an_import_and_the_next_one_goes_on() {
    let place = Place::new();
    let mut import = place.spawn(&["import", "-", "--output", "json", "-v"]);
    import.wait_for("started an endpoint");
    import.write(&line("a-1", 1, 1));
    import.interrupt();
    let ran = import.wait();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert_eq!(ran.json()["complete"], json!(false));
    assert!(ran.err.ends_with("cosmos-es: stopped before it was done\n"), "{}", ran.err);
    let again = place.run_with_input(&["import", "-", "--output", "json"], &line("a-1", 1, 1));
    let report = again.json();
    let done = report["appended"].as_u64().unwrap() + report["repeated"].as_u64().unwrap();
    assert_eq!(done, 1);
}

#[test]
fn an_import_that_is_killed_is_resumed() {
    let place = Place::new();
    // More lines than wait in the process, so that some are stored while the others are still to come.
    let lines: Vec<String> = (1..=3000)
        .flat_map(|stream| (1..=2).map(move |number| line(&format!("s-{stream}"), number, stream)))
        .collect();
    let (local, _) = local(&place);
    let mut import = place.spawn(&["import", "-"]);
    import.write(&lines[..5500].concat());
    let stored = || place.json(&["stats"])["events"].as_u64().unwrap();
    assert!((0..1000).any(|_| stored() > 0), "nothing was ever stored");
    import.kill();
    drop(local);
    let before = stored();
    assert!(before > 0 && before < 6000, "{before}");
    let file = place.file("all.jsonl", &lines.concat());
    let report = place.json(&["import", &file]);
    assert_eq!(report["repeated"].as_u64(), Some(before));
    assert_eq!(report["appended"].as_u64(), Some(6000 - before));
    assert_eq!(report["failed"], json!(0));
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let place = Place::with_sample();
    for command in [&["export"][..], &["read", "quote-1"], &["streams", "--output", "json"]] {
        let mut command = place.command(command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(place.data_dir()).unwrap();
    std::fs::write(place.data_dir().join("letter.txt"), "Dear").unwrap();
    let ran = place.run(&["stats"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    let names: Vec<_> = std::fs::read_dir(place.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["letter.txt"]);
}

#[test]
fn settings_come_from_the_environment_too() {
    let place = Place::with_sample();
    let mut command = place.command(&["read", "quote-1"]);
    let output = command
        .env("COSMOS_ES_OUTPUT", "json")
        .env("COSMOS_ES_READ_LIMIT", "1")
        .env("COSMOS_ES_READ_BACKWARDS", "true")
        .output()
        .unwrap();
    let events: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(events.as_array().unwrap().len(), 1);
    assert_ne!(events[0]["sequenceNumber"], json!(1));
}
