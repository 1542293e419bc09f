//! The settings file: TOML without tables, a line a setting.

use std::{fmt, path::Path};

use toml::{Table, Value};

use super::{
    Refusal,
    known::{Known, Takes},
};

/// The largest file that is read: settings are some lines, and keys of access a few hundred.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a settings file has, in the order of its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Values(Vec<(String, Setting)>);

/// The value of a setting. Its `Debug` does not show it: it may be a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Setting {
    Text(String),
    Switch(bool),
    Count(u8),
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Values {
    pub(super) fn read(path: &Path, known: &Known) -> Result<Self, Refusal> {
        let wrong = |text: String| Refusal::Settings(format!("{}: {text}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(wrong(format!("{size} bytes are too many for a settings file")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::of(&text, known).map_err(wrong)
    }

    pub(super) fn of(text: &str, known: &Known) -> Result<Self, String> {
        // Only where it is wrong: the line itself may have a secret.
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map_or(1, |before| before.matches('\n').count().saturating_add(1));
            format!("line {line}: {}", error.message())
        })?;
        let value = |(key, value): (String, Value)| {
            let takes = known.takes(&key)?;
            let value = of_value(value, takes).map_err(|what| format!("{key}: {what}"))?;
            Ok((key, value))
        };
        table.into_iter().map(value).collect::<Result<_, String>>().map(Self)
    }

    /// The values with their names.
    pub(super) fn into_pairs(self) -> impl Iterator<Item = (String, Setting)> {
        self.0.into_iter()
    }
}

fn of_value(value: Value, takes: Takes) -> Result<Setting, &'static str> {
    match (takes, value) {
        (Takes::Switch, Value::Boolean(is_on)) => Ok(Setting::Switch(is_on)),
        (Takes::Switch, _) => Err("expected true or false"),
        (Takes::Count, Value::Integer(count)) => {
            u8::try_from(count).map(Setting::Count).map_err(|_| "expected a small number")
        }
        (Takes::Count, _) => Err("expected a number"),
        (Takes::Value, Value::String(text)) => Ok(Setting::Text(text)),
        (Takes::Value, Value::Integer(number)) => Ok(Setting::Text(number.to_string())),
        (Takes::Value, Value::Array(parts)) => {
            let text = |part: Value| match part {
                Value::String(text) if !text.contains(',') => Ok(text),
                _ => Err("expected a list of texts without commas"),
            };
            let parts = parts.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Ok(Setting::Text(parts.join(",")))
        }
        (Takes::Value, _) => Err("expected a text, a whole number, or a list of texts"),
    }
}
