//! One file and one line add an entry: the lists behind parsing, help, docs, citations and the law tests.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cite::Cite;

/// What every catalogued struct says of itself. Its fields are its settings.
pub trait Entry: Serialize + DeserializeOwned {
    /// What it is, in one line.
    const ABOUT: &'static str;
    /// The smallest valid settings, as TOML (empty when every setting has a default).
    const EXAMPLE: &'static str;
    /// The works behind it.
    const CITE: &'static [Cite];
}

/// One line of a catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// The `kind` in a spec.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The smallest valid settings.
    pub example: &'static str,
    /// The works behind it.
    pub cite: &'static [Cite],
}

/// Splits a spec value (a bare name, or a table with `kind`) into its kind and the settings.
///
/// # Errors
/// A message saying what a value of this sort has to look like.
pub fn split_kind(what: &str, names: &[&str], value: toml::Value) -> Result<(String, toml::Table), String> {
    let a = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    match value {
        toml::Value::String(kind) => Ok((kind, toml::Table::new())),
        toml::Value::Table(mut table) => match table.remove("kind") {
            Some(toml::Value::String(kind)) => Ok((kind, table)),
            Some(other) => Err(format!("@kind@the kind of {a} {what} is a string, not {other}")),
            None => Err(format!("{a} {what} needs `kind = …`, one of {}", quoted(names))),
        },
        other => Err(format!("{a} {what} is a name or a table with `kind`, not {other}")),
    }
}

/// The settings of one entry, with an inner path kept in the message as `@path@message`.
///
/// # Errors
/// What the entry's own deserialisation says.
pub fn settings<T: DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        at_path(&path, error.into_inner().to_string().trim_end())
    })
}

/// Prefixes a message with a path, joining it with the path that the message may already carry.
pub fn at_path(path: &str, message: &str) -> String {
    if path.is_empty() || path == "." {
        return message.to_owned();
    }
    match message.strip_prefix('@').and_then(|rest| rest.split_once('@')) {
        Some((inner, text)) => format!("@{path}.{inner}@{text}"),
        None => format!("@{path}@{message}"),
    }
}

/// `` `a`, `b`, `c` ``.
pub fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Defines the enum of a catalogue with parsing, writing and listing, from `"name" => Type` lines.
#[macro_export]
macro_rules! catalogue {
    ($(#[$meta:meta])* pub $any:ident: $trait:ident, $what:literal { $($name:literal => $ty:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub enum $any {
            $(#[doc = concat!("`", $name, "`")] $ty($ty),)+
            /// A part made by the caller; a spec cannot hold it.
            External(std::sync::Arc<dyn Fn() -> Box<dyn $trait> + Send + Sync>),
        }

        impl $any {
            /// Every entry, in order.
            pub const LIST: &'static [$crate::catalogue::Listed] = &[$($crate::catalogue::Listed {
                name: $name,
                about: <$ty as $crate::catalogue::Entry>::ABOUT,
                example: <$ty as $crate::catalogue::Entry>::EXAMPLE,
                cite: <$ty as $crate::catalogue::Entry>::CITE,
            }),+];

            /// The names, in order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The `kind` of this entry.
            pub fn name(&self) -> &'static str {
                match self { $($any::$ty(_) => $name,)+ $any::External(_) => "external" }
            }

            /// The works behind this entry.
            pub fn cite(&self) -> &'static [$crate::cite::Cite] {
                match self {
                    $($any::$ty(_) => <$ty as $crate::catalogue::Entry>::CITE,)+
                    $any::External(_) => &[],
                }
            }

            /// A part in its initial state.
            pub fn build(&self) -> Box<dyn $trait> {
                match self { $($any::$ty(part) => Box::new(part.clone()),)+ $any::External(make) => make() }
            }

            /// The entry with its smallest settings; for listings and law tests.
            ///
            /// # Panics
            /// When the entry's EXAMPLE is not valid, which is a bug.
            pub fn example(name: &str) -> Self {
                let listed = Self::LIST.iter().find(|l| l.name == name).expect("a catalogued name");
                let text = format!("kind = \"{}\"\n{}", listed.name, listed.example);
                toml::from_str(&text).expect("an EXAMPLE is valid")
            }
        }

        impl std::fmt::Debug for $any {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $($any::$ty(part) => write!(f, "{part:?}"),)+
                    $any::External(_) => write!(f, "External"),
                }
            }
        }

        $(impl From<$ty> for $any { fn from(part: $ty) -> Self { $any::$ty(part) } })+

        impl<'de> serde::Deserialize<'de> for $any {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                let value = toml::Value::deserialize(d)?;
                let (kind, table) = $crate::catalogue::split_kind($what, Self::NAMES, value).map_err(D::Error::custom)?;
                match kind.as_str() {
                    $($name => $crate::catalogue::settings::<$ty>(table).map($any::$ty).map_err(D::Error::custom),)+
                    other => Err(D::Error::custom(format!(
                        "@kind@unknown {} `{other}`, expected one of {}",
                        $what,
                        $crate::catalogue::quoted(Self::NAMES)
                    ))),
                }
            }
        }

        impl serde::Serialize for $any {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                use serde::ser::Error;
                let mut table = toml::Table::new();
                table.insert("kind".into(), toml::Value::String(self.name().into()));
                match self {
                    $($any::$ty(part) => match toml::Value::try_from(part).map_err(S::Error::custom)? {
                        toml::Value::Table(settings) => table.extend(settings),
                        other => return Err(S::Error::custom(format!("settings are a table, not {other}"))),
                    },)+
                    $any::External(_) => return Err(S::Error::custom(concat!("an external ", $what, " cannot be written to a spec"))),
                }
                serde::Serialize::serialize(&table, s)
            }
        }
    };
}
