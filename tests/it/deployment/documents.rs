//! What `docs/bicep.md` says about the parameters.

use std::collections::BTreeMap;

use super::templates;
use crate::tidy::{
    markdown::{code_words, table},
    tree,
};

const DOCUMENT: &str = "docs/bicep.md";

/// The default of a parameter as the table shows it.
fn shown(parameter: &bicep_check::template::Parameter) -> String {
    match &parameter.default {
        None => "required".to_owned(),
        Some(default) => match default.literal() {
            Some(serde_json::Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(serde_json::Value::String(text)) => format!("`{text}`"),
            Some(literal) => format!("`{literal}`"),
            None => "computed".to_owned(),
        },
    }
}

#[test]
fn the_table_of_parameters_is_the_templates() {
    let rows = table(tree::file(DOCUMENT), "## Parameters");
    let described: BTreeMap<&str, (&str, &str, &str)> = rows
        .iter()
        .map(|row| (code_words(row[0]).next().unwrap(), (row[1], row[2], row[3])))
        .collect();
    assert_eq!(described.len(), rows.len(), "{DOCUMENT}: a parameter is there twice");
    let parameters = &templates()["main.bicep"].parameters;
    let lines: Vec<String> = parameters
        .iter()
        .map(|one| {
            let (name, description) = (&one.name.text, one.description().unwrap());
            format!("| `{name}` | {} | {} | {description} |", one.type_text, shown(one))
        })
        .collect();
    let document = &tree::file(DOCUMENT).text;
    for (parameter, line) in parameters.iter().zip(&lines) {
        let name = parameter.name.text.as_str();
        assert!(described.contains_key(name), "{DOCUMENT} lacks `{name}`: add\n{line}");
        assert!(
            document.contains(line.as_str()),
            "{DOCUMENT}: the row of `{name}` must be\n{line}"
        );
    }
    assert_eq!(described.len(), parameters.len(), "{DOCUMENT} has rows that are no parameters");
}

#[test]
fn outputs_are_in_upper_case() {
    // azd writes them into its environment as they are.
    for output in &templates()["main.bicep"].outputs {
        let name = &output.name.text;
        assert_eq!(*name, name.to_uppercase());
    }
}
