//! Settings of a table that take more than one form: the label column, the header.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which column holds the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// `"first"`
    First,
    /// `"last"` (default)
    #[default]
    Last,
    /// A number: counted from 0.
    Index(usize),
    /// Any other string: the name in the header.
    Name(String),
}

/// Whether the first record names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// `"auto"` (default): it does when no cell outside the label column is a number, or the label has a name.
    #[default]
    Auto,
    /// `true`
    Yes,
    /// `false`
    No,
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Column::First => serializer.serialize_str("first"),
            Column::Last => serializer.serialize_str("last"),
            Column::Index(i) => serializer.serialize_u64(*i as u64),
            Column::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Setting;
        impl Visitor<'_> for Setting {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"first\", \"last\", a column's name or its number from 0")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Column, E> {
                Ok(match text {
                    "first" => Column::First,
                    "last" => Column::Last,
                    name => Column::Name(name.into()),
                })
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<Column, E> {
                usize::try_from(index).map(Column::Index).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, index: i64) -> Result<Column, E> {
                let unexpected = serde::de::Unexpected::Signed(index);
                u64::try_from(index)
                    .map_err(|_| E::invalid_value(unexpected, &self))
                    .and_then(|index| self.visit_u64(index))
            }
        }
        deserializer.deserialize_any(Setting)
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Header::Auto => serializer.serialize_str("auto"),
            Header::Yes => serializer.serialize_bool(true),
            Header::No => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Setting;
        impl Visitor<'_> for Setting {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true, false or \"auto\"")
            }

            fn visit_bool<E: Error>(self, yes: bool) -> Result<Header, E> {
                Ok(if yes { Header::Yes } else { Header::No })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Header, E> {
                match text {
                    "auto" => Ok(Header::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Setting)
    }
}
