//! Whether a value may stand where a type is expected.

use crate::{
    shape::{File, Shape, Symbol},
    template::{Expression, Kind, Parameter, Place},
    types::{PropertyType, Reference, Type, TypeFile},
};

/// How many variables that refer to variables are followed.
const DEPTH_MAX: u8 = 16;
/// How many accepted words a message names.
const WORDS_MAX: usize = 12;

/// What is wrong and where.
pub(crate) type Wrong = Vec<(Place, String)>;

/// Checks values of one file against types of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'c> {
    pub(crate) file: &'c File<'c>,
    pub(crate) types: &'c TypeFile,
    depth: u8,
    /// Whether required properties must be there; parts of a union of objects need not have them.
    whole: bool,
}

/// The properties that a body of a resource has besides those of its type.
pub(crate) const BODY_PROPERTIES: [&str; 3] = ["parent", "scope", "dependsOn"];

impl<'c> Values<'c> {
    pub(crate) fn new(file: &'c File<'c>, types: &'c TypeFile) -> Self {
        Self { file, types, depth: DEPTH_MAX, whole: true }
    }

    /// What is wrong with the value of the property `name`.
    pub(crate) fn check(self, name: &str, value: &Expression, expected: &Reference) -> Wrong {
        match &value.kind {
            Kind::Choice(three) => {
                let [_, one, other] = three.as_ref();
                let mut wrong = self.check(name, one, expected);
                wrong.extend(self.check(name, other, expected));
                wrong
            }
            Kind::Name(symbol) => match self.file.symbols.get(symbol.as_str()) {
                Some(Symbol::Variable(variable)) => match self.depth.checked_sub(1) {
                    Some(depth) => {
                        let wrong = Self { depth, ..self }.check(name, &variable.value, expected);
                        at_use(value.place, &variable.value, wrong)
                    }
                    None => Wrong::new(),
                },
                Some(Symbol::Parameter(parameter)) => {
                    self.parameter(name, value, parameter, expected)
                }
                _ => Wrong::new(),
            },
            Kind::Call(function, arguments) => match &function.kind {
                Kind::Name(called) if called == "union" || called == "concat" => {
                    let part = Self { whole: false, ..self };
                    arguments.iter().flat_map(|one| part.check(name, one, expected)).collect()
                }
                _ => self.shaped(name, value, expected),
            },
            // A property that is null is left out.
            Kind::Null => Wrong::new(),
            Kind::Text(_) | Kind::Integer(_) | Kind::Object(_) | Kind::Array(_) | Kind::For(_) => {
                self.written(name, value, expected)
            }
            _ => self.shaped(name, value, expected),
        }
    }

    /// A value that is written down.
    fn written(self, name: &str, value: &Expression, expected: &Reference) -> Wrong {
        match (&value.kind, self.types.get(expected)) {
            (_, Type::Union { elements }) => self.one_of(name, value, elements),
            (_, Type::LeftOut) => vec![(
                value.place,
                format!(
                    "`{name}`: its type is not in the extract: run `bicep-check extract` again"
                ),
            )],
            (Kind::Text(text), Type::Literal { value: wanted }) => {
                if text == wanted {
                    return Wrong::new();
                }
                vec![(value.place, format!("`{name}` must be '{wanted}', not '{text}'"))]
            }
            (Kind::Text(text), Type::String { min_length, max_length }) => {
                let length = text.chars().count();
                let fits = min_length.is_none_or(|min| length >= min)
                    && max_length.is_none_or(|max| length <= max);
                let bounds =
                    (min_length.unwrap_or_default(), max_length.map(|max| max.to_string()));
                wrong_unless(fits, value.place, || {
                    let (min, max) =
                        (bounds.0, bounds.1.unwrap_or_else(|| "any number of".to_owned()));
                    format!("`{name}` has {length} characters: {min} to {max} are allowed")
                })
            }
            (Kind::Integer(number), Type::Integer { min_value, max_value }) => {
                let fits = min_value.is_none_or(|min| *number >= min)
                    && max_value.is_none_or(|max| *number <= max);
                wrong_unless(fits, value.place, || {
                    format!("`{name}` is {number}, which is outside of what is allowed")
                })
            }
            (Kind::Object(_), Type::Object { .. } | Type::Discriminated { .. }) => {
                self.object(name, value, expected)
            }
            (Kind::Array(items), Type::Array { item_type }) => {
                // Each item is whole, also where the array is a part.
                let items_of = Self { whole: true, ..self };
                items.iter().flat_map(|one| items_of.check(name, one, item_type)).collect()
            }
            (Kind::For(each), Type::Array { item_type }) => {
                Self { whole: true, ..self }.check(name, &each.body, item_type)
            }
            _ => self.shaped(name, value, expected),
        }
    }

    /// A value of which the shape is all that is known.
    fn shaped(self, name: &str, value: &Expression, expected: &Reference) -> Wrong {
        let wanted = self.wanted(expected);
        let found = self.file.shape(value);
        let fits = found == Shape::Null || wanted.iter().any(|wanted| found.fits(*wanted));
        wrong_unless(fits, value.place, || {
            let words: Vec<&str> = wanted.iter().map(|shape| shape.word()).collect();
            format!("`{name}` must be {}, not {}", words.join(" or "), found.word())
        })
    }

    /// The shapes that a type accepts.
    fn wanted(self, expected: &Reference) -> Vec<Shape> {
        match self.types.get(expected) {
            Type::Boolean => vec![Shape::Boolean],
            Type::Integer { .. } => vec![Shape::Integer],
            Type::String { .. } | Type::Literal { .. } => vec![Shape::Text],
            Type::Array { .. } => vec![Shape::Array],
            Type::Object { .. } | Type::Discriminated { .. } => vec![Shape::Object],
            Type::Union { elements } => {
                let mut all: Vec<Shape> =
                    elements.iter().flat_map(|one| self.wanted(one)).collect();
                all.dedup();
                all
            }
            Type::Any | Type::Resource { .. } | Type::LeftOut | Type::Other => vec![Shape::Unknown],
        }
    }

    fn one_of(self, name: &str, value: &Expression, elements: &[Reference]) -> Wrong {
        let is_literal = |one: &&Reference| matches!(self.types.get(one), Type::Literal { .. });
        // Many sets end in `any string`, for words to come. A word that is written down should still be one
        // of those that are known: it is likelier to be misspelt than to be new.
        let is_open = |one: &&Reference| matches!(self.types.get(one), Type::String { .. });
        let known =
            elements.iter().any(|one| is_literal(&one)) && matches!(value.kind, Kind::Text(_));
        let mut accepting = elements.iter().filter(|one| !(known && is_open(one)));
        if accepting.any(|one| self.check(name, value, one).is_empty()) {
            return Wrong::new();
        }
        let literal = |one: &Reference| match self.types.get(one) {
            Type::Literal { value } => Some(format!("'{value}'")),
            _ => None,
        };
        let words: Vec<String> = elements.iter().filter_map(literal).take(WORDS_MAX).collect();
        let found = match &value.kind {
            Kind::Text(text) => format!("'{text}'"),
            _ => self.file.shape(value).word().to_owned(),
        };
        vec![(value.place, format!("`{name}` must be one of {}, not {found}", words.join(", ")))]
    }

    /// A parameter by its declared type, and by each value that `@allowed` lists.
    fn parameter(
        self,
        name: &str,
        value: &Expression,
        parameter: &Parameter,
        expected: &Reference,
    ) -> Wrong {
        let Some(Kind::Array(allowed)) = parameter.decorator("allowed").map(|one| &one.kind) else {
            return self.shaped(name, value, expected);
        };
        let wrong = allowed.iter().flat_map(|one| self.check(name, one, expected));
        let at_use = |(_, message): (Place, String)| {
            (value.place, format!("{message} (parameter `{}` allows it)", parameter.name.text))
        };
        wrong.map(at_use).collect()
    }

    fn object(self, name: &str, value: &Expression, expected: &Reference) -> Wrong {
        match self.types.get(expected) {
            Type::Object { name: of, properties, additional_properties } => {
                let wanted = |key: &str| properties.get(key);
                let mut wrong = self.known(of, value, wanted, additional_properties.as_ref(), &[]);
                wrong.extend(self.missing(of, value, properties.iter()));
                wrong
            }
            Type::Discriminated { name: of, discriminator, base_properties, elements } => {
                let Some(chosen) = value.get(discriminator) else {
                    return vec![(value.place, format!("{of}: `{discriminator}` is missing"))];
                };
                // What is not literal cannot be told apart.
                let Kind::Text(text) = &chosen.kind else { return Wrong::new() };
                let Some(element) = elements.get(text) else {
                    let words: Vec<String> =
                        elements.keys().map(|one| format!("'{one}'")).collect();
                    let words = words.join(", ");
                    let message = format!("`{discriminator}` must be one of {words}, not '{text}'");
                    return vec![(chosen.place, message)];
                };
                let Type::Object { properties, additional_properties, .. } =
                    self.types.get(element)
                else {
                    return Wrong::new();
                };
                let wanted = |key: &str| properties.get(key).or_else(|| base_properties.get(key));
                let mut wrong = self.known(of, value, wanted, additional_properties.as_ref(), &[]);
                wrong.extend(self.missing(of, value, properties.iter().chain(base_properties)));
                wrong
            }
            _ => self.shaped(name, value, expected),
        }
    }

    /// The body of a resource.
    pub(crate) fn body(self, value: &Expression, expected: &Reference) -> Wrong {
        let Type::Object { name, properties, .. } = self.types.get(expected) else {
            return Wrong::new();
        };
        let mut wrong = self.known(name, value, |key| properties.get(key), None, &BODY_PROPERTIES);
        wrong.extend(self.missing(name, value, properties.iter()));
        wrong
    }

    /// Every property that is set must be there and may be set, with a value that fits.
    fn known<'t>(
        self,
        of: &str,
        value: &Expression,
        wanted: impl Fn(&str) -> Option<&'t PropertyType>,
        others: Option<&Reference>,
        besides: &[&str],
    ) -> Wrong {
        let mut wrong = Wrong::new();
        let inside = Self { whole: true, ..self };
        for property in value.properties() {
            let place = property.key.place;
            let key = match &property.key.kind {
                Kind::Text(key) => key.as_str(),
                _ => "",
            };
            match (wanted(key), others) {
                _ if besides.contains(&key) => {}
                (Some(found), _) if found.is_read_only() => {
                    wrong.push((place, format!("`{key}` of {of} is read-only")));
                }
                (Some(found), _) => wrong.extend(inside.check(key, &property.value, &found.of)),
                (None, Some(others)) => wrong.extend(inside.check(key, &property.value, others)),
                (None, None) => wrong.push((place, format!("{of} has no property `{key}`"))),
            }
        }
        wrong
    }

    fn missing<'t>(
        self,
        of: &str,
        value: &Expression,
        mut properties: impl Iterator<Item = (&'t String, &'t PropertyType)>,
    ) -> Wrong {
        if !self.whole {
            return Wrong::new();
        }
        let mut wrong = Wrong::new();
        for (name, property) in properties.by_ref() {
            let is_set = value.get(name).is_some_and(|value| value.kind != Kind::Null);
            if property.is_required() && !property.is_read_only() && !is_set {
                wrong.push((value.place, format!("{of} needs the property `{name}`")));
            }
        }
        wrong
    }
}

/// What is wrong with an object or array is shown in it, and with a simple variable where it is used.
fn at_use(place: Place, value: &Expression, wrong: Wrong) -> Wrong {
    if matches!(value.kind, Kind::Object(_) | Kind::Array(_) | Kind::For(_)) {
        return wrong;
    }
    wrong.into_iter().map(|(_, message)| (place, message)).collect()
}

fn wrong_unless(fits: bool, place: Place, message: impl FnOnce() -> String) -> Wrong {
    if fits { Wrong::new() } else { vec![(place, message())] }
}
