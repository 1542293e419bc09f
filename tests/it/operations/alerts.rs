//! That the page explains every alert of the deployment.

use super::procedure::{page, section};

#[test]
fn every_alert_has_a_line_in_the_page() {
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/bicep/modules/alerts.bicep");
    let alerts = std::fs::read_to_string(alerts).unwrap();
    let text = section(&page(), "Alerts");
    let mut count = 0;
    for line in alerts.lines() {
        let Some(name) =
            line.trim().strip_prefix("name: '").and_then(|rest| rest.strip_suffix("-${token}'"))
        else {
            continue;
        };
        if name != "ag" {
            count += 1;
            assert!(
                text.contains(&format!("| `{name}`")),
                "the page says nothing of the alert {name}"
            );
        }
    }
    assert!(count >= 5, "{count} alerts");
    // A threshold that stands in the page is that of the deployment.
    let main = concat!(env!("CARGO_MANIFEST_DIR"), "/bicep/main.bicep");
    let main = std::fs::read_to_string(main).unwrap();
    for (parameter, unit) in [("lagAlertSeconds", "s"), ("throttleAlertCount", "in five minutes")] {
        let line = main.lines().find(|line| line.starts_with(&format!("param {parameter} int = ")));
        let value = line.and_then(|line| line.split(" = ").nth(1)).unwrap();
        let stands = format!("{value} {unit} (`{parameter}`)");
        assert!(text.contains(&stands), "{stands:?} is not in the page");
    }
}

/// The figures that the page watches are told under these names.
#[test]
fn the_figures_to_watch_exist() {
    let telemetry = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/telemetry.md");
    let telemetry = std::fs::read_to_string(telemetry).unwrap();
    let text = section(&page(), "Figures to watch");
    let mut count = 0;
    for name in text.split('`').filter(|word| word.starts_with("cosmos_es_")) {
        let name = name.split('{').next().unwrap();
        assert!(
            telemetry.contains(&format!("| `{name}` |")),
            "{name} is in no table of telemetry.md"
        );
        count += 1;
    }
    assert!(count >= 6, "{count} figures");
}
