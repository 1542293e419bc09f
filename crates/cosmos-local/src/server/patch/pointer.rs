//! Places in a document, as `/a/b/0` with `~1` for a slash and `~0` for a tilde.

use serde_json::Value;

use crate::server::error::ServiceError;

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    parents: Vec<String>,
    last: String,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    ///
    /// 400 when it is empty or does not start with a slash.
    pub(super) fn parse(text: &str) -> Result<Self, ServiceError> {
        let path = text
            .strip_prefix('/')
            .filter(|path| !path.is_empty())
            .ok_or_else(|| ServiceError::bad_request("the path of a patch must start with '/'"))?;
        let mut parents: Vec<String> =
            path.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
        let last = parents.pop().unwrap_or_default();
        Ok(Self { parents, last })
    }

    /// The property of the root that the place is in.
    pub(super) fn first(&self) -> &str {
        self.parents.first().unwrap_or(&self.last)
    }

    /// Whether `other` lies inside this place.
    pub(super) fn is_parent_of(&self, other: &Self) -> bool {
        let own = self.parents.len();
        other.parents.get(..own) == Some(self.parents.as_slice())
            && other.parents.get(own) == Some(&self.last)
    }

    /// The value at the place, which must be there.
    pub(super) fn find<'a>(&self, document: &'a mut Value) -> Result<&'a mut Value, ServiceError> {
        let parent = self.parent(document)?;
        step(parent, &self.last).ok_or_else(missing)
    }

    /// Puts a value at the place: a property is created or replaced, an array element is inserted
    /// before the one that is there (`-` and the length append).
    pub(super) fn insert(&self, document: &mut Value, value: Value) -> Result<(), ServiceError> {
        match self.parent(document)? {
            Value::Object(members) => {
                members.insert(self.last.clone(), value);
                Ok(())
            }
            Value::Array(elements) => {
                let index = self.index(elements.len())?;
                if index > elements.len() {
                    return Err(missing());
                }
                elements.insert(index, value);
                Ok(())
            }
            _ => Err(missing()),
        }
    }

    /// As [`Pointer::insert`], but an array element that is there is replaced.
    pub(super) fn set(&self, document: &mut Value, value: Value) -> Result<(), ServiceError> {
        if let Value::Array(elements) = self.parent(document)? {
            let index = self.index(elements.len())?;
            if let Some(slot) = elements.get_mut(index) {
                *slot = value;
                return Ok(());
            }
        }
        self.insert(document, value)
    }

    /// Takes the value at the place out, which must be there.
    pub(super) fn remove(&self, document: &mut Value) -> Result<Value, ServiceError> {
        match self.parent(document)? {
            Value::Object(members) => members.shift_remove(&self.last).ok_or_else(missing),
            Value::Array(elements) => {
                let index = self.index(elements.len())?;
                if index < elements.len() { Ok(elements.remove(index)) } else { Err(missing()) }
            }
            _ => Err(missing()),
        }
    }

    fn parent<'a>(&self, document: &'a mut Value) -> Result<&'a mut Value, ServiceError> {
        let mut place = document;
        for segment in &self.parents {
            place = step(place, segment).ok_or_else(missing)?;
        }
        Ok(place)
    }

    fn index(&self, length: usize) -> Result<usize, ServiceError> {
        if self.last == "-" { Ok(length) } else { self.last.parse().map_err(|_| missing()) }
    }
}

fn step<'a>(place: &'a mut Value, segment: &str) -> Option<&'a mut Value> {
    match place {
        Value::Object(members) => members.get_mut(segment),
        Value::Array(elements) => elements.get_mut(segment.parse::<usize>().ok()?),
        _ => None,
    }
}

fn missing() -> ServiceError {
    ServiceError::bad_request("a path of the patch does not exist in the document")
}
