//! A catalogue whose settings are kept as they stand, unchecked.

use latephase_core::catalogue::{quoted, split_kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! unchecked {
    ($(#[$meta:meta])* $any:ident, $what:literal, $names:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $any {
            kind: String,
            settings: toml::Table,
        }

        impl $any {
            /// The names, in order.
            pub const NAMES: &'static [&'static str] = $names;

            /// The `kind` of this entry.
            pub fn name(&self) -> &str {
                &self.kind
            }

            /// The entry with its smallest settings.
            pub fn example(name: &str) -> Self {
                $any { kind: name.into(), settings: toml::Table::new() }
            }
        }

        impl<'de> Deserialize<'de> for $any {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                let value = toml::Value::deserialize(d)?;
                let (kind, settings) = split_kind($what, Self::NAMES, value).map_err(D::Error::custom)?;
                if !Self::NAMES.contains(&kind.as_str()) {
                    let names = quoted(Self::NAMES);
                    let text = format!("@kind@unknown {} `{kind}`, expected one of {names}", $what);
                    return Err(D::Error::custom(text));
                }
                Ok($any { kind, settings })
            }
        }

        impl Serialize for $any {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let mut table = toml::Table::new();
                table.insert("kind".into(), self.kind.clone().into());
                table.extend(self.settings.clone());
                table.serialize(s)
            }
        }
    };
}

unchecked!(
    /// The data of a spec.
    Source, "data source", &["digits", "idx", "csv", "gaussian-margin", "two-points", "four-points", "rings"]
);
unchecked!(
    /// A probe of a spec.
    AnyProbe, "probe", &["margin", "alignment", "kkt", "direction", "balance", "accuracy"]
);
