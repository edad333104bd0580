//! `algorithm`: one table, or a list of phases that follow each other.

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::catalogue::{at_path, settings};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stop::Stop;

/// An algorithm, and until when it is followed.
#[derive(Clone, Debug)]
pub struct Phase {
    /// The algorithm.
    pub algorithm: AnyAlgorithm,
    /// When the next phase takes over, counted from the start of the run; the last phase has none.
    pub until: Option<Stop>,
}

impl From<AnyAlgorithm> for Phase {
    fn from(algorithm: AnyAlgorithm) -> Self {
        Phase { algorithm, until: None }
    }
}

impl Phase {
    fn from_value(mut value: toml::Value) -> Result<Self, String> {
        let until = match &mut value {
            toml::Value::Table(table) => table.remove("until"),
            _ => None,
        };
        let until = match until {
            None => None,
            Some(toml::Value::Table(table)) => {
                Some(settings(table).map_err(|message| at_path("until", &message))?)
            }
            Some(other) => {
                return Err(format!(
                    "@until@a condition is a table such as {{ steps = 1000 }}, not {}",
                    other.type_str()
                ));
            }
        };
        let algorithm = AnyAlgorithm::deserialize(value).map_err(|e| e.message().to_owned())?;
        Ok(Phase { algorithm, until })
    }

    fn to_value(&self) -> Result<toml::Value, toml::ser::Error> {
        let mut value = toml::Value::try_from(&self.algorithm)?;
        if let (toml::Value::Table(table), Some(until)) = (&mut value, &self.until) {
            table.insert("until".into(), toml::Value::try_from(until)?);
        }
        Ok(value)
    }
}

/// The same value with every setting written out, where it is valid.
pub(crate) fn resolve(value: toml::Value) -> Option<toml::Value> {
    let whole = |value| Phase::from_value(value).ok()?.to_value().ok();
    match value {
        // Each phase for itself: one that is not valid yet must not hide the others.
        toml::Value::Array(list) => {
            let none = || toml::Value::Table(toml::Table::new());
            Some(list.into_iter().map(|v| whole(v).unwrap_or_else(none)).collect::<Vec<_>>().into())
        }
        value => whole(value),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Phase>, D::Error> {
    let phases = match toml::Value::deserialize(d)? {
        toml::Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(k, value)| Phase::from_value(value).map_err(|m| at_path(&format!("[{k}]"), &m)))
            .collect::<Result<Vec<_>, _>>(),
        value => Phase::from_value(value).map(|phase| vec![phase]),
    };
    phases.map_err(D::Error::custom)
}

pub(super) fn serialize<S: Serializer>(phases: &[Phase], s: S) -> Result<S::Ok, S::Error> {
    let values: Vec<_> =
        phases.iter().map(Phase::to_value).collect::<Result<_, _>>().map_err(S::Error::custom)?;
    match values.as_slice() {
        [one] => one.serialize(s),
        list => list.serialize(s),
    }
}
