//! JSON objects, and nothing else, where a struct is read.
//!
//! What serde derives for a struct also takes a list of its fields in their order. In a document that
//! people write, a list in the place of an object is a mistake.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A struct that is read from an object only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a field that may be missing or `null`, for `deserialize_with`.
pub(crate) fn optional<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer<'a> {
        name: &'a str,
        #[serde(default, deserialize_with = "optional")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        n: u32,
    }

    fn read(text: &str) -> Result<Outer<'_>, String> {
        let read: Result<Object<Outer<'_>>, _> = serde_json::from_str(text);
        read.map(|object| object.0).map_err(|error| error.to_string())
    }

    #[test]
    fn objects_are_read() {
        let outer = read(r#"{"inner": {"n": 7}, "name": "x"}"#).unwrap();
        assert_eq!((outer.name, outer.inner.map(|inner| inner.n)), ("x", Some(7)));
        assert!(read(r#"{"name": "x", "inner": null}"#).unwrap().inner.is_none());
        assert!(read(r#"{"name": "x"}"#).unwrap().inner.is_none());
    }

    #[test]
    fn lists_are_not() {
        assert!(read(r#"["x", null]"#).unwrap_err().contains("expected an object"));
        assert!(read(r#"{"name": "x", "inner": [7]}"#).unwrap_err().contains("expected an object"));
        assert!(read(r#"{"name": "x", "other": 1}"#).unwrap_err().contains("unknown field"));
    }
}
