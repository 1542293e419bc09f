//! What of the language is understood, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that is surprised has failed")]

use bicep_check::{Types, check, parse, template::Kind};

fn findings(text: &str) -> Vec<String> {
    let mut sources = bicep_check::Sources::default();
    sources.set("main.bicep", text);
    check(&sources, &Types::default()).iter().map(ToString::to_string).collect()
}

#[test]
fn loops_conditions_and_nested_resources_are_read() {
    let text =
        "resource one 'N.Thing/things@2025-01-01' = [for (item, index) in items: if (index > 0) {
  name: 'a${item}'
  resource two 'parts' existing = {
    name: 'b'
    resource three 'bits@2026-01-01' = if (true) {
      name: 'c'
    }
  }
}]
";
    let template = parse("main.bicep", text).unwrap();
    let placed = template.placed();
    let types: Vec<_> =
        placed.iter().map(|one| (one.full_type.as_str(), one.version.as_str())).collect();
    assert_eq!(
        types,
        [
            ("N.Thing/things", "2025-01-01"),
            ("N.Thing/things/parts", "2025-01-01"),
            ("N.Thing/things/parts/bits", "2026-01-01"),
        ]
    );
    assert_eq!(placed.iter().map(|one| one.around.len()).collect::<Vec<_>>(), [0, 1, 2]);
    let body = &placed[0].resource.body;
    let (variables, over) = body.each.as_ref().unwrap();
    assert_eq!(
        variables.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(),
        ["item", "index"]
    );
    assert_eq!(over.kind, Kind::Name("items".to_owned()));
    assert!(body.condition.is_some() && placed[2].resource.body.condition.is_some());
    assert!(placed[1].resource.existing && !placed[2].resource.existing);
}

#[test]
fn literals_are_read_as_they_are_written() {
    let text = "var plain = {\n  text: 'https://${'x'}.net'\n}\nvar some = {\n  escaped: 'a // b\\n\\'c\\''\n  number: -5\n  list: [true, null, [], {}]\n  'odd.key': 1\n}\nvar lines = '''\nlines\n'''\n";
    let template = parse("main.bicep", text).unwrap();
    assert_eq!(template.variables[0].value.literal(), None, "an interpolation is no literal");
    let wanted = serde_json::json!({
        "escaped": "a // b\n'c'",
        "number": -5,
        "list": [true, null, [], {}],
        "odd.key": 1,
    });
    assert_eq!(template.variables[1].value.literal(), Some(wanted));
    assert_eq!(template.variables[2].value.literal(), Some("lines\n".into()));
}

#[test]
fn what_is_not_understood_is_refused() {
    for (text, says) in [
        ("type mine = string\n", "main.bicep:1:1: `type_declaration` is not understood"),
        ("func f(x string) string => x\n", "`user_defined_function` is not understood"),
        ("var a = map(b, c => c)\n", "`lambda_expression` is not understood"),
        ("import * as x from 'y.bicep'\n", "is not understood"),
        ("var a = {\n  b: 1 c: 2\n}\n", "main.bicep:2:8: syntax: begin a new line here"),
        ("var a = ['b' 'c']\n", "main.bicep:1:14: syntax: begin a new line here"),
        ("param a string param b string\n", "main.bicep:1:16: syntax: begin a new line here"),
        ("var a = (\n", "syntax"),
        ("var a = [length('b'), 'c']\n", "main.bicep:1:16: the grammar takes this for two items"),
    ] {
        let found = findings(text).join("\n");
        assert!(found.contains(says), "{text:?}: {says:?} is not in\n{found}");
    }
}

#[test]
fn names_are_looked_up_where_they_are_known() {
    let clean = "var a = [for (x, i) in range(0, 2): '${x}${i}']\noutput b array = a\n";
    assert_eq!(findings(clean), Vec::<String>::new());
    let outside = "var a = [for x in range(0, 2): x]\noutput b array = [\n  a\n  x\n]\n";
    assert_eq!(findings(outside), ["main.bicep:4:3: nothing is declared as `x`"]);
    let inside = "var a = [for x in x: x]\noutput b array = a\n";
    assert_eq!(findings(inside), ["main.bicep:1:19: nothing is declared as `x`"]);
}
