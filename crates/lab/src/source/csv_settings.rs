//! Settings of a table that take more than one form: its test set, its class names.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where the test set of a table comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TestSet {
    /// A file of the same form.
    Path(String),
    /// So many rows of the same file, after the training set.
    Count(usize),
    /// This fraction of the rows, after the training set.
    Fraction(f64),
}

/// A class as the table writes it: text, or a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClassName(pub String);

impl<'de> Deserialize<'de> for TestSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Setting;
        impl Visitor<'_> for Setting {
            type Value = TestSet;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path, a number of rows or a fraction between 0 and 1")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<TestSet, E> {
                Ok(TestSet::Path(path.into()))
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<TestSet, E> {
                usize::try_from(count).map(TestSet::Count).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<TestSet, E> {
                let unexpected = serde::de::Unexpected::Signed(count);
                u64::try_from(count)
                    .map_err(|_| E::invalid_value(unexpected, &self))
                    .and_then(|count| self.visit_u64(count))
            }

            fn visit_f64<E: Error>(self, fraction: f64) -> Result<TestSet, E> {
                Ok(TestSet::Fraction(fraction))
            }
        }
        deserializer.deserialize_any(Setting)
    }
}

impl<'de> Deserialize<'de> for ClassName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(ClassName(text)),
            toml::Value::Integer(number) => Ok(ClassName(number.to_string())),
            toml::Value::Float(number) => Ok(ClassName(number.to_string())),
            toml::Value::Boolean(truth) => Ok(ClassName(truth.to_string())),
            other => Err(D::Error::custom(format!("expected a class name, found {}", other.type_str()))),
        }
    }
}
