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

/// What `docs/deploy.md` names is there: parameters, outputs, files.
#[test]
fn the_way_to_a_running_system_names_what_there_is() {
    let text = &tree::file("docs/deploy.md").text;
    let main = &templates()["main.bicep"];
    let behind = |prefix: &'static str| {
        let word = |rest: &'static str| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
            &rest[..end.unwrap_or(rest.len())]
        };
        text.match_indices(prefix).map(move |(at, _)| word(&text[at + prefix.len()..]))
    };
    let mut found = 0;
    for name in behind("--parameters ").filter(|name| !name.contains('/')) {
        assert!(main.parameters.iter().any(|one| one.name.text == name), "no parameter {name}");
        found += 1;
    }
    for name in behind("(output ") {
        assert!(main.outputs.iter().any(|one| one.name.text == name), "no output {name}");
        found += 1;
    }
    for path in ["bicep/", "scripts/"]
        .into_iter()
        .flat_map(|folder| behind(folder).map(move |name| format!("{folder}{name}")))
    {
        assert!(tree::root().join(&path).exists(), "there is no {path}");
        found += 1;
    }
    assert!(found > 12, "{found}");
    // Every block says whether anybody has run it.
    let blocks: Vec<&str> = text.split("```bash\n").skip(1).collect();
    assert!(
        blocks.iter().all(|block| block.starts_with("# [azure]") || block.starts_with("# [local]"))
    );
    assert!(blocks.len() > 8 && text.contains("was ever run"));
}
