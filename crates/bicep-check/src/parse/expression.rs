//! Expressions of the grammar into [`Expression`].

use tree_sitter::Node;

use super::{Reader, children, first, place};
use crate::template::{Expression, Kind, Loop, Name, Property};

impl Reader<'_> {
    /// Reads one; what is not understood becomes `null`, with a finding.
    pub(super) fn expression(&mut self, node: Node<'_>) -> Expression {
        let kind = self.kind(node);
        if kind.is_none() && !node.has_error() {
            self.refuse(node, &format!("`{}`", node.kind()));
        }
        Expression { place: place(node), kind: kind.unwrap_or(Kind::Null) }
    }

    /// The named children of a list.
    pub(super) fn expressions(&mut self, node: Node<'_>) -> Vec<Expression> {
        operands(node).into_iter().map(|child| self.expression(child)).collect()
    }

    fn kind(&mut self, node: Node<'_>) -> Option<Kind> {
        Some(match node.kind() {
            "string" => self.string(node),
            "number" => Kind::Integer(self.text_of(node).parse().ok()?),
            "boolean" => Kind::Boolean(self.text_of(node) == "true"),
            "null" => Kind::Null,
            "object" => Kind::Object(self.object(node)),
            "array" => {
                self.apart(node);
                Kind::Array(self.expressions(node))
            }
            "identifier" => Kind::Name(self.text_of(node).to_owned()),
            "parenthesized_expression" => match operands(node).as_slice() {
                [inner] => return self.kind(*inner),
                _ => return None,
            },
            "call_expression" => {
                let function = self.field(node, "function")?;
                Kind::Call(
                    Box::new(function),
                    self.expressions(node.child_by_field_name("arguments")?),
                )
            }
            "member_expression" => {
                let of = self.field(node, "object")?;
                Kind::Member(Box::new(of), self.named(node, "property")?)
            }
            "resource_expression" => {
                let of = self.field(node, "object")?;
                Kind::Nested(Box::new(of), self.named(node, "resource")?)
            }
            "subscript_expression" => {
                Kind::Index(Box::new([self.field(node, "object")?, self.field(node, "index")?]))
            }
            "ternary_expression" => Kind::Choice(Box::new([
                self.field(node, "condition")?,
                self.field(node, "consequence")?,
                self.field(node, "alternative")?,
            ])),
            "unary_expression" => {
                Kind::Operation(self.operator(node)?, vec![self.field(node, "argument")?])
            }
            "binary_expression" => Kind::Operation(
                self.operator(node)?,
                vec![self.field(node, "left")?, self.field(node, "right")?],
            ),
            "for_statement" => self.each(node)?,
            _ => return None,
        })
    }

    fn field(&mut self, node: Node<'_>, field: &str) -> Option<Expression> {
        node.child_by_field_name(field).map(|child| self.expression(child))
    }

    fn named(&self, node: Node<'_>, field: &str) -> Option<Name> {
        node.child_by_field_name(field).map(|child| self.name(child))
    }

    fn operator(&self, node: Node<'_>) -> Option<String> {
        node.child_by_field_name("operator").map(|child| self.text_of(child).to_owned())
    }

    fn each(&mut self, node: Node<'_>) -> Option<Kind> {
        let variables = self.loop_variables(node);
        let over = self.loop_over(node)?;
        let body = node.child_by_field_name("body")?;
        if body.kind() == "if_statement" {
            let condition = first(body, "parenthesized_expression")?;
            let condition = Some(self.expression(condition));
            let object = first(body, "object")?;
            let body = self.expression(object);
            return Some(Kind::For(Box::new(Loop { variables, over, condition, body })));
        }
        let body = self.expression(body);
        Some(Kind::For(Box::new(Loop { variables, over, condition: None, body })))
    }

    /// One name, or two in parentheses: the item and its index.
    pub(super) fn loop_variables(&self, node: Node<'_>) -> Vec<Name> {
        if let Some(one) = node.child_by_field_name("initializer") {
            return vec![self.name(one)];
        }
        let Some(two) = first(node, "for_loop_parameters") else { return Vec::new() };
        operands(two).into_iter().map(|name| self.name(name)).collect()
    }

    pub(super) fn loop_over(&mut self, node: Node<'_>) -> Option<Expression> {
        let mut rest = children(node).into_iter().skip_while(|child| child.kind() != "in").skip(1);
        let over = rest.find(|child| !child.is_extra())?;
        Some(self.expression(over))
    }

    pub(super) fn property(&mut self, node: Node<'_>) -> Option<Property> {
        let mut all = operands(node).into_iter();
        let (key, value) = (all.next()?, all.next());
        if node.kind() != "object_property" {
            self.refuse(node, &format!("`{}` in an object", node.kind()));
            return None;
        }
        let kind = match key.kind() {
            "string" => self.string(key),
            "identifier" => Kind::Text(self.text_of(key).to_owned()),
            other => {
                self.refuse(key, &format!("`{other}` as a key"));
                return None;
            }
        };
        let key = Expression { place: place(key), kind };
        Some(Property { key, value: self.expression(value?) })
    }

    /// What stands between the interpolations is taken from the text, because the grammar may skip white
    /// space there.
    fn string(&mut self, node: Node<'_>) -> Kind {
        let text = self.text_of(node);
        if let Some(lines) = text.strip_prefix("'''").and_then(|text| text.strip_suffix("'''")) {
            return Kind::Text(lines.strip_prefix('\n').unwrap_or(lines).to_owned());
        }
        let interpolations: Vec<Node<'_>> =
            children(node).into_iter().filter(|child| child.kind() == "interpolation").collect();
        if interpolations.is_empty() {
            return Kind::Text(unescape(inner(text)));
        }
        let parts = interpolations.into_iter().flat_map(|part| self.expressions(part)).collect();
        Kind::Interpolated(parts)
    }
}

/// The named children that are no comments.
fn operands(node: Node<'_>) -> Vec<Node<'_>> {
    children(node).into_iter().filter(|child| child.is_named() && !child.is_extra()).collect()
}

/// The text between the quotes.
pub(super) fn inner(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(other) => plain.push(other),
                None => {}
            },
            character => plain.push(character),
        }
    }
    plain
}
