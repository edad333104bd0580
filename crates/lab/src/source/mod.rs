//! The data sources: every `data = { kind = … }` a spec can name.
//!
//! A source is one file with a struct whose fields are its settings, and one line in the list below. Loading is
//! a pure function of the settings, the seed and the files: the same three give the same bytes.
//!
//! ```
//! use latephase_lab::source::{Lookup, Source};
//! let source: Source = toml::from_str("kind = \"digits\"\nclasses = \"even-odd\"\ntrain = 300").unwrap();
//! let loaded = source.load(1, &Lookup::from_env()).unwrap();
//! assert_eq!((loaded.train.n(), loaded.train.dim()), (300, 64));
//! assert_eq!(loaded.train.classes, ["even", "odd"]);
//! ```

mod arrays;
mod choose;
mod classes;
mod csv;
mod csv_settings;
mod digits;
mod error;
mod files;
mod four_points;
mod gaussian_margin;
mod groups;
mod idx;
mod idx_format;
mod normalize;
mod orthogonal;
mod points;
mod random;
mod rings;
mod table;
mod table_settings;
mod teacher_student;
mod two_points;
mod xor_parity;

use std::sync::Arc;

use latephase_core::catalogue::{at_path, quoted};
use latephase_core::{Data, Invalid};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

pub use arrays::Arrays;
pub use choose::Order;
pub use classes::Classes;
pub use csv::Csv;
pub use csv_settings::{ClassName, TestSet};
pub use digits::Digits;
pub use error::SourceError;
pub use files::{FileHash, Lookup};
pub use four_points::FourPoints;
pub use gaussian_margin::GaussianMargin;
pub use groups::Groups;
pub use idx::Idx;
pub use normalize::Normalize;
pub use orthogonal::Orthogonal;
pub use points::Points;
pub use rings::Rings;
pub use table_settings::{Column, Header};
pub use teacher_student::{Inputs, TeacherStudent};
pub use two_points::TwoPoints;
pub use xor_parity::XorParity;

/// What a source gives.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The training set.
    pub train: Arc<Data>,
    /// The test set, where there is one.
    pub test: Option<Arc<Data>>,
    /// The files read, for the run's record.
    pub files: Vec<FileHash>,
    /// What is known in closed form about the training set.
    pub truth: Option<Truth>,
    /// Whom the licence of the data asks to name.
    pub credit: Option<&'static str>,
}

/// What is known in closed form about a training set. A missing number is unknown, not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// max over ‖w‖₂ = 1 of min_i y_i⟨w, x_i⟩.
    pub margin_l2: Option<f64>,
    /// The unit w that attains it.
    pub direction: Option<Vec<f64>>,
    /// The same over ‖w‖₁ = 1, attained along `direction` too where it is given.
    pub margin_l1: Option<f64>,
    /// The same over ‖w‖_∞ = 1, attained along `direction` too where it is given.
    pub margin_linf: Option<f64>,
    /// γ_gl: the same maximum over two-layer ReLU networks with ‖α‖₁ ≤ 1 and unit inner weights.
    pub margin_global: Option<f64>,
    /// A number that γ_gl is at least, where γ_gl itself is not known.
    pub margin_global_lower: Option<f64>,
    /// γ_nc of well separated groups (Telgarsky 2022): the least inner product of an input with its group's direction, for
    /// every input of the law that the examples are drawn from.
    pub margin_nc: Option<f64>,
    /// Where the numbers come from, and what they leave out.
    pub note: String,
}

/// The catalogue entry of a source, for help, docs and citations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The value of `kind`.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The smallest valid TOML body beside `kind`.
    pub example: &'static str,
    /// References, for people.
    pub cite: &'static [&'static str],
}

/// What one kind of source provides.
trait Kind: DeserializeOwned + Serialize {
    const ABOUT: &'static str;
    const EXAMPLE: &'static str;
    const CITE: &'static [&'static str];

    /// Whether the settings fit each other; the files are not looked at.
    fn check(&self) -> Result<(), Invalid>;

    /// The seed setting, where there is one.
    fn seed_mut(&mut self) -> Option<&mut Option<u64>>;

    /// Makes the sets from checked settings. `seed` stands in for a seed that is not set.
    fn load(&self, seed: u64, lookup: &Lookup) -> Result<Loaded, SourceError>;
}

macro_rules! sources {
    ($($name:literal => $kind:ident),* $(,)?) => {
        /// What `data = { kind = …, … }` says; a bare string is the kind with its defaults.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind")]
        pub enum Source {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $kind($kind),)*
        }

        impl Source {
            /// Every kind, in the order of the list.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Every catalogue entry, in the same order.
            pub const LIST: &'static [About] = &[$(About {
                name: $name,
                about: $kind::ABOUT,
                example: $kind::EXAMPLE,
                cite: $kind::CITE,
            }),*];

            /// The value of `kind`.
            pub fn kind(&self) -> &'static str {
                match self { $(Source::$kind(_) => $name),* }
            }

            /// Whether the settings fit each other; no file is looked at.
            ///
            /// # Errors
            /// The setting, what was given and what is allowed.
            pub fn check(&self) -> Result<(), Invalid> {
                match self { $(Source::$kind(s) => s.check()),* }
            }

            /// The same source with its seed written out, `seed` standing in for one that is not set.
            pub fn resolved(&self, seed: u64) -> Source {
                let mut source = self.clone();
                let slot = match &mut source { $(Source::$kind(s) => s.seed_mut()),* };
                if let Some(slot) = slot {
                    slot.get_or_insert(seed);
                }
                source
            }

            /// Reads or makes the data. `seed` stands in for a seed that is not set.
            ///
            /// # Errors
            /// Settings that do not fit, files that are missing or are not what they should be.
            pub fn load(&self, seed: u64, lookup: &Lookup) -> Result<Loaded, SourceError> {
                self.check()?;
                match self { $(Source::$kind(s) => s.load(seed, lookup)),* }
            }

            fn from_table(kind: &str, table: toml::Table) -> Result<Self, String> {
                match kind {
                    $($name => settings::<$kind>(table).map(Source::$kind),)*
                    _ => Err(unknown(kind)),
                }
            }
        }
    };
}

sources! {
    "digits" => Digits,
    "idx" => Idx,
    "csv" => Csv,
    "gaussian-margin" => GaussianMargin,
    "teacher-student" => TeacherStudent,
    "xor-parity" => XorParity,
    "two-points" => TwoPoints,
    "four-points" => FourPoints,
    "rings" => Rings,
    "orthogonal" => Orthogonal,
    "groups" => Groups,
    "points" => Points,
    "arrays" => Arrays,
}

impl Source {
    /// The catalogue entry of a kind.
    pub fn about(kind: &str) -> Option<&'static About> {
        Source::LIST.iter().find(|entry| entry.name == kind)
    }
}

impl<'de> Deserialize<'de> for Source {
    /// A message that concerns a setting inside the table reads `@inner.path@message`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(kind) => Source::from_table(&kind, toml::Table::new()),
            toml::Value::Table(mut table) => match table.remove("kind") {
                Some(toml::Value::String(kind)) => Source::from_table(&kind, table),
                Some(other) => Err(format!("@kind@expected a string, found {}", other.type_str())),
                None => Err(format!("missing field `kind`, expected one of {}", quoted(Source::NAMES))),
            },
            other => Err(format!("expected a data source, found {}", other.type_str())),
        };
        source.map_err(D::Error::custom)
    }
}

fn settings<K: Kind>(table: toml::Table) -> Result<K, String> {
    let kind: K = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|e| {
        let path = e.path().to_string();
        at_path(&path, e.inner().message())
    })?;
    kind.check().map_err(|e| at_path(&e.field, &e.message))?;
    Ok(kind)
}

fn unknown(kind: &str) -> String {
    format!("unknown data source `{kind}`, expected one of {}", quoted(Source::NAMES))
}

/// More numbers than this in one set is a slip of the pen (2³⁰ numbers are 8 GiB).
const LARGEST: usize = 1 << 30;

/// Refuses set sizes that no machine here could hold, before anything is allocated.
fn check_size(field: &str, n: usize, dim: usize) -> Result<(), Invalid> {
    match n.checked_mul(dim) {
        Some(count) if count <= LARGEST => Ok(()),
        _ => {
            Err(Invalid::new(field, format!("{n} examples of {dim} numbers are more than {LARGEST} numbers")))
        }
    }
}

fn check_at_least(field: &str, given: usize, least: usize) -> Result<(), Invalid> {
    if given >= least {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{given} given, at least {least} needed")))
}

/// The classes of a synthetic binary problem.
fn signs() -> Vec<String> {
    vec!["+1".into(), "-1".into()]
}

/// A set of vectors.
fn vectors(
    inputs: Vec<f64>,
    labels: Vec<u32>,
    classes: Vec<String>,
    dim: usize,
) -> Result<Arc<Data>, Invalid> {
    Data::new(inputs, labels, classes, vec![dim]).map(Arc::new)
}

impl Loaded {
    /// Synthetic data: no files, nobody to credit.
    fn synthetic(train: Arc<Data>, test: Option<Arc<Data>>, truth: Truth) -> Self {
        Loaded { train, test, files: Vec::new(), truth: Some(truth), credit: None }
    }
}
