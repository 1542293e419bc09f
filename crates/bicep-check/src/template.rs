//! What a Bicep file says: declarations and expressions, each with its place.
//!
//! Plain data, made by [`crate::parse`]. Nothing here is evaluated, except what is written down literally
//! ([`Expression::literal`]).

use std::fmt;

use serde_json::{Map, Value};

/// A place in a file; both numbers begin at 1, the column counts bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, as the [`crate::Sources`] name it.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What, in a sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.message)
    }
}

/// A name with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A string without interpolation.
    Text(String),
    /// A string with these expressions in it.
    Interpolated(Vec<Expression>),
    /// A number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// An object.
    Object(Object),
    /// An array.
    Array(Vec<Expression>),
    /// `[for ... in ...: ...]`.
    For(Box<Loop<Expression>>),
    /// `condition ? a : b`.
    Choice(Box<[Expression; 3]>),
    /// A name.
    Name(String),
    /// `of.name`.
    Member(Box<Expression>, Name),
    /// `of[index]`.
    Index(Box<[Expression; 2]>),
    /// `of::name`, a nested resource.
    Nested(Box<Expression>, Name),
    /// `function(arguments)`.
    Call(Box<Expression>, Vec<Expression>),
    /// An operator with its one or two operands.
    Operation(String, Vec<Expression>),
}

/// An object: its properties and, in the body of a resource, the resources nested in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its properties in their order.
    pub properties: Vec<Property>,
    /// The nested resources.
    pub resources: Vec<Resource>,
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its key: a [`Kind::Text`], or [`Kind::Interpolated`].
    pub key: Expression,
    /// Its value.
    pub value: Expression,
}

/// A loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop<B> {
    /// The variables that it binds.
    pub variables: Vec<Name>,
    /// What it goes over.
    pub over: Expression,
    /// `if (...)` before each round.
    pub condition: Option<Expression>,
    /// What it makes in each round.
    pub body: B,
}

/// `@name(arguments)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decorator {
    /// Its name.
    pub name: Name,
    /// Its arguments.
    pub arguments: Vec<Expression>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type as it is written.
    pub type_text: String,
    /// Its default.
    pub default: Option<Expression>,
    /// What stands before it.
    pub decorators: Vec<Decorator>,
}

impl Parameter {
    /// The first argument of a decorator.
    pub fn decorator(&self, name: &str) -> Option<&Expression> {
        self.decorators.iter().find(|one| one.name.text == name)?.arguments.first()
    }

    /// What `@description` says.
    pub fn description(&self) -> Option<&str> {
        match &self.decorator("description")?.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expression,
}

/// An output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: Name,
    /// Its type as it is written.
    pub type_text: String,
    /// Its value.
    pub value: Expression,
}

/// The body of a resource or module, with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The condition of `if (...)`.
    pub condition: Option<Expression>,
    /// The variables of a loop and what it goes over.
    pub each: Option<(Vec<Name>, Expression)>,
    /// The properties: a [`Kind::Object`].
    pub value: Expression,
}

/// A resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The name by which the file refers to it.
    pub symbol: Name,
    /// Its type as it is written: `Namespace/types@version`, or a part when it is nested.
    pub type_text: Name,
    /// Whether it is only referred to.
    pub existing: bool,
    /// Its body.
    pub body: Body,
}

/// A module.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// The name by which the file refers to it.
    pub symbol: Name,
    /// The path of its file, relative to this one.
    pub path: Name,
    /// Its body.
    pub body: Body,
}

/// A Bicep file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    /// In a parameter file: the template that it is for, from `using`.
    pub using: Option<Name>,
    /// The parameters in their order.
    pub parameters: Vec<Parameter>,
    /// The variables.
    pub variables: Vec<Variable>,
    /// The resources, without those nested in them.
    pub resources: Vec<Resource>,
    /// The modules.
    pub modules: Vec<Module>,
    /// The outputs.
    pub outputs: Vec<Output>,
}

/// A resource with the type and version that it has in the end.
#[derive(Debug, Clone)]
pub struct Placed<'t> {
    /// The resource.
    pub resource: &'t Resource,
    /// Its whole type without version.
    pub full_type: String,
    /// Its version; empty where nothing gives one.
    pub version: String,
    /// The symbols of the resources around it, outermost first.
    pub around: Vec<&'t str>,
}

impl Body {
    /// Its expressions: condition, what a loop goes over, and the object.
    pub(crate) fn parts(&self) -> Vec<&Expression> {
        let over = self.each.as_ref().map(|each| &each.1);
        [self.condition.as_ref(), over, Some(&self.value)].into_iter().flatten().collect()
    }
}

impl Template {
    /// All expressions that stand directly in declarations, with those of nested resources.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        let mut all: Vec<&Expression> = Vec::new();
        all.extend(self.parameters.iter().filter_map(|one| one.default.as_ref()));
        all.extend(self.variables.iter().map(|one| &one.value));
        all.extend(self.placed().into_iter().flat_map(|one| one.resource.body.parts()));
        all.extend(self.modules.iter().flat_map(|one| one.body.parts()));
        all.extend(self.outputs.iter().map(|one| &one.value));
        all
    }

    /// All resources, also nested ones, which take the type before theirs and the version from
    /// the resource around them.
    pub fn placed(&self) -> Vec<Placed<'_>> {
        let mut found = Vec::new();
        for resource in &self.resources {
            place_resource(resource, None, &mut found);
        }
        found
    }
}

fn place_resource<'t>(
    resource: &'t Resource,
    around: Option<&Placed<'t>>,
    found: &mut Vec<Placed<'t>>,
) {
    let (own, version) = match resource.type_text.text.split_once('@') {
        Some((own, version)) => (own, version.to_owned()),
        None => (
            resource.type_text.text.as_str(),
            around.map(|around| around.version.clone()).unwrap_or_default(),
        ),
    };
    let full_type = match around {
        Some(around) => format!("{}/{own}", around.full_type),
        None => own.to_owned(),
    };
    let mut symbols = around.map(|around| around.around.clone()).unwrap_or_default();
    if let Some(around) = around {
        symbols.push(&around.resource.symbol.text);
    }
    let placed = Placed { resource, full_type, version, around: symbols };
    found.push(placed.clone());
    for nested in resource.body.value.resources() {
        place_resource(nested, Some(&placed), found);
    }
}

impl Expression {
    /// The properties of an object; none for anything else.
    pub fn properties(&self) -> &[Property] {
        match &self.kind {
            Kind::Object(object) => &object.properties,
            _ => &[],
        }
    }

    /// The resources nested in the body of a resource; none for anything else.
    pub fn resources(&self) -> &[Resource] {
        match &self.kind {
            Kind::Object(object) => &object.resources,
            _ => &[],
        }
    }

    /// The value of a property with a literal key.
    pub fn get(&self, key: &str) -> Option<&Expression> {
        let is_it =
            |property: &&Property| matches!(&property.key.kind, Kind::Text(text) if text == key);
        self.properties().iter().find(is_it).map(|property| &property.value)
    }

    /// The value behind a path of property names.
    pub fn at(&self, path: &[&str]) -> Option<&Expression> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The value where all of it is written down: no name, call, loop or choice in it.
    pub fn literal(&self) -> Option<Value> {
        Some(match &self.kind {
            Kind::Text(text) => Value::from(text.as_str()),
            Kind::Integer(number) => Value::from(*number),
            Kind::Boolean(truth) => Value::from(*truth),
            Kind::Null => Value::Null,
            Kind::Array(items) => items.iter().map(Self::literal).collect::<Option<Value>>()?,
            Kind::Object(object) => Value::Object(object.literal()?),
            Kind::Operation(operator, operands) if operator == "-" => match operands.as_slice() {
                [Expression { kind: Kind::Integer(number), .. }] => {
                    Value::from(number.checked_neg()?)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The expressions directly inside of this one.
    pub(crate) fn parts(&self) -> Vec<&Expression> {
        match &self.kind {
            Kind::Text(_) | Kind::Integer(_) | Kind::Boolean(_) | Kind::Null | Kind::Name(_) => {
                Vec::new()
            }
            Kind::Interpolated(parts) | Kind::Array(parts) | Kind::Operation(_, parts) => {
                parts.iter().collect()
            }
            Kind::Object(object) => {
                object.properties.iter().flat_map(|one| [&one.key, &one.value]).collect()
            }
            Kind::For(each) => [Some(&each.over), each.condition.as_ref(), Some(&each.body)]
                .into_iter()
                .flatten()
                .collect(),
            Kind::Choice(three) => three.iter().collect(),
            Kind::Index(two) => two.iter().collect(),
            Kind::Member(of, _) | Kind::Nested(of, _) => vec![of],
            Kind::Call(function, arguments) => {
                std::iter::once(function.as_ref()).chain(arguments).collect()
            }
        }
    }
}

impl Object {
    /// The object where all of it is written down.
    pub fn literal(&self) -> Option<Map<String, Value>> {
        let entry = |property: &Property| match &property.key.kind {
            Kind::Text(key) => Some((key.clone(), property.value.literal()?)),
            _ => None,
        };
        self.properties.iter().map(entry).collect()
    }
}
