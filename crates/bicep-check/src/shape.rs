//! What can be said of a value without evaluating it: its shape.

use std::collections::BTreeMap;

use crate::template::{Expression, Kind, Module, Parameter, Placed, Template, Variable};

/// How many variables that refer to variables are followed.
const DEPTH_MAX: u8 = 16;

/// The shape of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Integer,
    Boolean,
    Object,
    Array,
    Null,
    /// Anything.
    Unknown,
}

impl Shape {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "int",
            Self::Boolean => "bool",
            Self::Object => "object",
            Self::Array => "array",
            Self::Null => "null",
            Self::Unknown => "any",
        }
    }

    /// Whether a value of this shape may stand where the other one is declared.
    pub(crate) fn fits(self, declared: Self) -> bool {
        self == declared || self == Self::Unknown || declared == Self::Unknown
    }

    /// The shape that a declared type has; unknown for the types of one's own.
    pub(crate) fn declared(type_text: &str) -> Self {
        match type_text.trim() {
            "string" => Self::Text,
            "int" => Self::Integer,
            "bool" => Self::Boolean,
            "object" => Self::Object,
            "array" => Self::Array,
            text if text.ends_with("[]") => Self::Array,
            _ => Self::Unknown,
        }
    }
}

/// The functions that a template may call, and what they give.
const FUNCTIONS: [(&str, Shape); 57] = [
    ("any", Shape::Unknown),
    ("array", Shape::Array),
    ("base64", Shape::Text),
    ("base64ToJson", Shape::Unknown),
    ("base64ToString", Shape::Text),
    ("bool", Shape::Boolean),
    ("cidrHost", Shape::Text),
    ("cidrSubnet", Shape::Text),
    ("coalesce", Shape::Unknown),
    ("concat", Shape::Unknown),
    ("contains", Shape::Boolean),
    ("dateTimeAdd", Shape::Text),
    ("deployer", Shape::Object),
    ("deployment", Shape::Object),
    ("empty", Shape::Boolean),
    ("endsWith", Shape::Boolean),
    ("environment", Shape::Object),
    ("extensionResourceId", Shape::Text),
    ("first", Shape::Unknown),
    ("flatten", Shape::Array),
    ("format", Shape::Text),
    ("guid", Shape::Text),
    ("indexOf", Shape::Integer),
    ("int", Shape::Integer),
    ("intersection", Shape::Unknown),
    ("items", Shape::Array),
    ("join", Shape::Text),
    ("json", Shape::Unknown),
    ("last", Shape::Unknown),
    ("length", Shape::Integer),
    ("loadTextContent", Shape::Text),
    ("loadJsonContent", Shape::Unknown),
    ("max", Shape::Integer),
    ("min", Shape::Integer),
    ("newGuid", Shape::Text),
    ("objectKeys", Shape::Array),
    ("padLeft", Shape::Text),
    ("pickZones", Shape::Array),
    ("range", Shape::Array),
    ("readEnvironmentVariable", Shape::Text),
    ("replace", Shape::Text),
    ("resourceGroup", Shape::Object),
    ("resourceId", Shape::Text),
    ("skip", Shape::Unknown),
    ("split", Shape::Array),
    ("startsWith", Shape::Boolean),
    ("string", Shape::Text),
    ("subscription", Shape::Object),
    ("subscriptionResourceId", Shape::Text),
    ("substring", Shape::Text),
    ("take", Shape::Unknown),
    ("tenant", Shape::Object),
    ("toLower", Shape::Text),
    ("toUpper", Shape::Text),
    ("trim", Shape::Text),
    ("union", Shape::Unknown),
    ("uniqueString", Shape::Text),
];

/// What a function gives; nothing when there is no such function.
pub(crate) fn function(name: &str) -> Option<Shape> {
    FUNCTIONS.iter().find(|one| one.0 == name).map(|one| one.1)
}

/// What a name at the top of a file stands for.
#[derive(Debug, Clone)]
pub(crate) enum Symbol<'t> {
    Parameter(&'t Parameter),
    Variable(&'t Variable),
    Resource(Placed<'t>),
    Module(&'t Module),
}

/// One file among the others.
#[derive(Debug)]
pub(crate) struct File<'t> {
    pub(crate) path: &'t str,
    pub(crate) template: &'t Template,
    pub(crate) symbols: BTreeMap<&'t str, Symbol<'t>>,
    /// All templates that could be read, by path.
    pub(crate) templates: &'t BTreeMap<String, Template>,
}

impl<'t> File<'t> {
    pub(crate) fn new(
        path: &'t str,
        template: &'t Template,
        templates: &'t BTreeMap<String, Template>,
    ) -> Self {
        let mut symbols = BTreeMap::new();
        for one in &template.parameters {
            symbols.insert(one.name.text.as_str(), Symbol::Parameter(one));
        }
        for one in &template.variables {
            symbols.insert(one.name.text.as_str(), Symbol::Variable(one));
        }
        for one in &template.modules {
            symbols.insert(one.symbol.text.as_str(), Symbol::Module(one));
        }
        for one in template.placed().into_iter().filter(|one| one.around.is_empty()) {
            symbols.insert(one.resource.symbol.text.as_str(), Symbol::Resource(one));
        }
        Self { path, template, symbols, templates }
    }

    /// The template of a module, where it could be read.
    pub(crate) fn module(&self, module: &Module) -> Option<&'t Template> {
        self.templates.get(&crate::sources::relative(self.path, &module.path.text)?)
    }

    pub(crate) fn shape(&self, expression: &Expression) -> Shape {
        self.shape_within(expression, DEPTH_MAX)
    }

    fn shape_within(&self, expression: &Expression, depth: u8) -> Shape {
        let Some(depth) = depth.checked_sub(1) else { return Shape::Unknown };
        match &expression.kind {
            Kind::Text(_) | Kind::Interpolated(_) => Shape::Text,
            Kind::Integer(_) => Shape::Integer,
            Kind::Boolean(_) => Shape::Boolean,
            Kind::Null => Shape::Null,
            Kind::Object(_) => Shape::Object,
            Kind::Array(_) | Kind::For(_) => Shape::Array,
            Kind::Choice(three) => {
                let [_, one, other] = three.as_ref();
                either(self.shape_within(one, depth), self.shape_within(other, depth))
            }
            Kind::Operation(operator, operands) => match operator.as_str() {
                "+" | "-" | "*" | "/" | "%" => Shape::Integer,
                "??" => match operands.as_slice() {
                    [one, other] => {
                        either(self.shape_within(one, depth), self.shape_within(other, depth))
                    }
                    _ => Shape::Unknown,
                },
                _ => Shape::Boolean,
            },
            Kind::Name(name) => match self.symbols.get(name.as_str()) {
                Some(Symbol::Parameter(one)) => Shape::declared(&one.type_text),
                Some(Symbol::Variable(one)) => self.shape_within(&one.value, depth),
                _ => Shape::Unknown,
            },
            Kind::Call(of, _) => match &of.kind {
                Kind::Name(name) => function(name).unwrap_or(Shape::Unknown),
                _ => Shape::Unknown,
            },
            Kind::Member(of, name) => self.member(of, &name.text),
            Kind::Index(_) | Kind::Nested(..) => Shape::Unknown,
        }
    }

    fn member(&self, of: &Expression, name: &str) -> Shape {
        if let Kind::Member(module, outputs) = &of.kind
            && outputs.text == "outputs"
        {
            return self.output(module, name);
        }
        let is_resource = match &of.kind {
            Kind::Name(symbol) => {
                matches!(self.symbols.get(symbol.as_str()), Some(Symbol::Resource(_)))
            }
            Kind::Nested(..) => true,
            _ => false,
        };
        if is_resource && ["id", "name", "type"].contains(&name) {
            Shape::Text
        } else {
            Shape::Unknown
        }
    }

    fn output(&self, module: &Expression, name: &str) -> Shape {
        let Kind::Name(symbol) = &module.kind else { return Shape::Unknown };
        let Some(Symbol::Module(module)) = self.symbols.get(symbol.as_str()) else {
            return Shape::Unknown;
        };
        let outputs = self.module(module).map(|template| template.outputs.iter());
        let output = outputs.into_iter().flatten().find(|one| one.name.text == name);
        output.map_or(Shape::Unknown, |one| Shape::declared(&one.type_text))
    }
}

/// The shape of what may be one or the other; `null` leaves it open.
fn either(one: Shape, other: Shape) -> Shape {
    if one == other { one } else { Shape::Unknown }
}
