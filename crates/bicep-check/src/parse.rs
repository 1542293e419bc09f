//! From text to [`Template`], by the tree-sitter grammar of Bicep.
//!
//! The grammar is laxer than the compiler about line breaks, so these are checked here. What this crate
//! does not understand (lambdas, imports, types and functions of one's own) is refused, so nothing is
//! left unchecked silently.

mod expression;

use tree_sitter::{Node, Parser};

use crate::{
    sources::FileKind,
    template::{
        Body, Decorator, Finding, Module, Name, Object, Output, Parameter, Place, Resource,
        Template, Variable,
    },
};

/// A file while it is read.
struct Reader<'s> {
    file: &'s str,
    text: &'s str,
    findings: Vec<Finding>,
}

/// Reads a template, or with the ending `.bicepparam` a parameter file, whose parameters come out as
/// variables.
///
/// # Errors
///
/// What is wrong with the syntax, and what is not understood.
pub fn parse(file: &str, text: &str) -> Result<Template, Vec<Finding>> {
    let prepared = if FileKind::of(file) == Some(FileKind::Parameters) {
        as_variables(text)
    } else {
        text.to_owned()
    };
    let mut reader = Reader { file, text: &prepared, findings: Vec::new() };
    let mut parser = Parser::new();
    let tree = match parser.set_language(&tree_sitter_bicep::LANGUAGE.into()) {
        Ok(()) => parser.parse(&prepared, None),
        Err(_) => None,
    };
    let Some(tree) = tree else {
        reader.say(Place { line: 1, column: 1 }, "the grammar cannot be used".to_owned());
        return Err(reader.findings);
    };
    reader.syntax(tree.root_node());
    let template = reader.template(tree.root_node());
    if reader.findings.is_empty() {
        Ok(template)
    } else {
        reader.findings.sort();
        reader.findings.dedup();
        Err(reader.findings)
    }
}

/// The grammar knows no parameter files: `param name = value` is read as a variable, which keeps every
/// place since the words are made equally long.
fn as_variables(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("param ") {
        Some(rest) => format!("var   {rest}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

impl<'s> Reader<'s> {
    fn say(&mut self, place: Place, message: String) {
        self.findings.push(Finding { file: self.file.to_owned(), place, message });
    }

    fn refuse(&mut self, node: Node<'_>, what: &str) {
        self.say(place(node), format!("{what} is not understood by this checker"));
    }

    fn text_of(&self, node: Node<'_>) -> &'s str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Errors of the grammar. Inside of one nothing more is said.
    fn syntax(&mut self, node: Node<'_>) {
        if node.is_missing() {
            self.say(place(node), format!("syntax: `{}` is missing", node.kind()));
        } else if node.is_error() {
            let text = self.text_of(node).lines().next().unwrap_or_default().trim();
            self.say(place(node), format!("syntax: `{text}` is not expected here"));
        } else if node.has_error() {
            for child in children(node) {
                self.syntax(child);
            }
        }
    }

    /// Each of these begins on a line of its own, or behind a comma.
    fn apart(&mut self, node: Node<'_>) {
        let mut before: Option<Node<'_>> = None;
        for child in children(node).into_iter().filter(|child| !child.is_extra()) {
            if let Some(before) = before.filter(|_| child.is_named()) {
                let message = if before.end_byte() == child.start_byte() {
                    "the grammar takes this for two items: put a call or index into a variable"
                } else if before.end_position().row == child.start_position().row {
                    "syntax: begin a new line here"
                } else {
                    ""
                };
                if !message.is_empty() {
                    self.say(place(child), message.to_owned());
                }
            }
            before = child.is_named().then_some(child);
        }
    }

    fn template(&mut self, root: Node<'_>) -> Template {
        let mut template = Template::default();
        let mut decorators = Vec::new();
        self.apart(root);
        for node in children(root).into_iter().filter(|node| !node.is_extra()) {
            let before = std::mem::take(&mut decorators);
            match node.kind() {
                "decorators" => decorators = self.decorators(node),
                "parameter_declaration" => template.parameters.extend(self.parameter(node, before)),
                "variable_declaration" => template.variables.extend(self.variable(node)),
                "resource_declaration" => template.resources.extend(self.resource(node)),
                "module_declaration" => template.modules.extend(self.module(node)),
                "output_declaration" => template.outputs.extend(self.output(node)),
                "using_statement" => {
                    template.using = first(node, "string").map(|one| self.plain(one));
                }
                "target_scope_assignment" | "metadata_declaration" | "ERROR" => {}
                other => self.refuse(node, &format!("`{other}`")),
            }
        }
        template
    }

    fn name(&self, node: Node<'_>) -> Name {
        Name { text: self.text_of(node).to_owned(), place: place(node) }
    }

    /// A string that must not have interpolations.
    fn plain(&mut self, node: Node<'_>) -> Name {
        let text = self.text_of(node);
        if text.contains("${") {
            self.say(place(node), "an interpolation cannot stand here".to_owned());
        }
        Name { text: expression::inner(text).to_owned(), place: place(node) }
    }

    fn decorators(&mut self, node: Node<'_>) -> Vec<Decorator> {
        let mut found = Vec::new();
        for decorator in children(node).into_iter().filter(|child| child.kind() == "decorator") {
            let Some(call) = first(decorator, "call_expression") else { continue };
            let name = first(call, "identifier").map(|name| self.name(name));
            let arguments = first(call, "arguments").map(|node| self.expressions(node));
            match name {
                Some(name) => {
                    let arguments = arguments.unwrap_or_default();
                    found.push(Decorator { name, arguments });
                }
                None => self.refuse(decorator, "this decorator"),
            }
        }
        found
    }

    /// The identifier behind the keyword, and the expression behind `=`.
    fn declared<'t>(&self, node: Node<'t>) -> (Option<Name>, Option<Node<'t>>) {
        let name = first(node, "identifier").map(|name| self.name(name));
        let mut rest = children(node).into_iter().skip_while(|child| child.kind() != "=").skip(1);
        (name, rest.find(|child| !child.is_extra()))
    }

    fn parameter(&mut self, node: Node<'_>, decorators: Vec<Decorator>) -> Option<Parameter> {
        let (name, default) = self.declared(node);
        let type_text = self.text_of(first(node, "type")?).to_owned();
        let default = default.map(|default| self.expression(default));
        Some(Parameter { name: name?, type_text, default, decorators })
    }

    fn variable(&mut self, node: Node<'_>) -> Option<Variable> {
        let (name, value) = self.declared(node);
        Some(Variable { name: name?, value: self.expression(value?) })
    }

    fn output(&mut self, node: Node<'_>) -> Option<Output> {
        let (name, value) = self.declared(node);
        let type_text = self.text_of(first(node, "type")?).to_owned();
        Some(Output { name: name?, type_text, value: self.expression(value?) })
    }

    fn resource(&mut self, node: Node<'_>) -> Option<Resource> {
        let (symbol, body) = self.declared(node);
        let type_node = first(node, "string")?;
        let type_text = self.plain(type_node);
        let existing = first(node, "existing").is_some();
        Some(Resource { symbol: symbol?, type_text, existing, body: self.body(body?)? })
    }

    fn module(&mut self, node: Node<'_>) -> Option<Module> {
        let (symbol, body) = self.declared(node);
        let path_node = first(node, "string")?;
        let path = self.plain(path_node);
        Some(Module { symbol: symbol?, path, body: self.body(body?)? })
    }

    /// An object, perhaps behind `if (...)`, perhaps in a loop.
    fn body(&mut self, node: Node<'_>) -> Option<Body> {
        match node.kind() {
            "object" => Some(Body { condition: None, each: None, value: self.expression(node) }),
            "if_statement" => {
                let condition = first(node, "parenthesized_expression")?;
                let condition = self.expression(condition);
                let object = first(node, "object")?;
                Some(Body { condition: Some(condition), ..self.body(object)? })
            }
            "for_statement" => {
                let each = Some((self.loop_variables(node), self.loop_over(node)?));
                let body = node.child_by_field_name("body")?;
                Some(Body { each, ..self.body(body)? })
            }
            other => {
                self.refuse(node, &format!("`{other}` as a body"));
                None
            }
        }
    }

    fn object(&mut self, node: Node<'_>) -> Object {
        self.apart(node);
        let mut object = Object { properties: Vec::new(), resources: Vec::new() };
        for child in
            children(node).into_iter().filter(|child| child.is_named() && !child.is_extra())
        {
            match first(child, "resource_declaration") {
                _ if child.kind() == "decorators" => {
                    // A decorator of a nested resource; `@batchSize` and the like change no types.
                }
                Some(resource) => object.resources.extend(self.resource(resource)),
                None => object.properties.extend(self.property(child)),
            }
        }
        object
    }
}

/// The first child of a kind.
fn first<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    children(node).into_iter().find(|child| child.kind() == kind)
}

/// All children, with those that have no name in the grammar.
fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

fn place(node: Node<'_>) -> Place {
    let start = node.start_position();
    Place { line: start.row.saturating_add(1), column: start.column.saturating_add(1) }
}
