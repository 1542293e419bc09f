//! `demo`: workers that are killed, a rebuild, and the proof, with few quotes.

use serde_json::{Value, json};

use super::program::{Place, SAMPLE};

#[test]
fn the_demonstration_proves_that_nothing_is_lost() {
    let place = Place::new();
    let folder = place.path("demo");
    let args = ["demo", "--quotes", "60", "--seed", "3", "--data-dir", folder.as_str()];
    let ran = place.run(&[&args[..], &["--output", "json"]].concat());
    let ended = ran.json();
    assert_eq!((ran.code, &ended["ok"], ran.err.as_str()), (0, &json!(true), ""), "{ended}");
    assert_eq!(ended["quotes"], json!(60));
    let seconds = |name: &str| ended["steps"][name].as_f64().unwrap();
    // A worker is known to be dead after nine seconds without a beat.
    assert!((5.0..30.0).contains(&seconds("failOver")), "{ended}");
    let models = ended["readModels"].as_array().unwrap();
    assert_eq!(models.len(), 5, "{ended}");
    for model in models {
        assert_eq!(model["streams"], json!(60), "{ended}");
        assert_eq!((&model["behind"], &model["drift"]["different"]), (&json!(0), &json!(0)));
        let rebuilt = model["projection"] == "stream-summary";
        assert_eq!(model["version"], json!(if rebuilt { 2 } else { 1 }), "{ended}");
    }
    for count in ended["counts"].as_array().unwrap() {
        assert_eq!(count["expected"], count["found"], "{count}");
    }
    // What is left can be looked at.
    let list = place.json(&["projections", "--data-dir", &folder]);
    let states: Vec<&Value> = list.as_array().unwrap().iter().map(|line| &line["state"]).collect();
    assert!(states.contains(&&json!("previous")), "{list}");
    // Nothing is appended to what is there.
    place.run(&args).failed(2, "has events already");
}

#[test]
fn a_demonstration_is_not_in_the_way_of_a_log() {
    let place = Place::new();
    place.run(&["import", SAMPLE]).ok();
    let folder = place.data_dir().display().to_string();
    place.run(&["demo", "--data-dir", &folder]).failed(2, "has events already");
}

#[test]
fn ctrl_c_ends_the_workers_too() {
    let place = Place::new();
    let folder = place.path("demo");
    let mut demo = place.spawn(&["demo", "--quotes", "20", "--data-dir", &folder]);
    while !demo.line().contains("worker-1 and worker-2 keep") {}
    demo.interrupt();
    assert_eq!(demo.wait().code, 130);
    let list = place.json(&["processors", "--data-dir", &folder]);
    assert!(list.as_array().unwrap().len() >= 2, "{list}");
    // The folder is free: nobody works on it any more.
    let lines = std::fs::read_dir("/proc").map(|processes| {
        let line = |process: std::fs::DirEntry| std::fs::read(process.path().join("cmdline")).ok();
        let lines = processes.filter_map(|process| line(process.ok()?));
        lines.filter(|line| String::from_utf8_lossy(line).contains(&folder)).count()
    });
    assert_eq!(lines.unwrap_or_default(), 0);
}
