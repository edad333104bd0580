//! From a file and overrides to a spec.

use std::path::Path;

use serde::Deserialize;

use super::origin::line_column;
use super::{Complaint, Origin, Spec};
use crate::Error;
use crate::overrides::{self, Override};

impl Spec {
    /// Reads a spec file and applies overrides such as `stop.steps=1000`, in order.
    ///
    /// # Errors
    /// A file that cannot be read; otherwise as [`Spec::parse`].
    pub fn read(path: &Path, overrides: &[String]) -> Result<Spec, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        Spec::parse(&text, &path.display().to_string(), overrides)
    }

    /// Reads a spec from its text; `file` is what messages call it.
    ///
    /// # Errors
    /// What is wrong with it, at the line and column or the override where it stands, with the nearest valid choice.
    pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<Spec, Error> {
        let mut table: toml::Table = toml::from_str(text).map_err(|e| {
            let place = line_column(text, e.span().map_or(0, |span| span.start));
            Error::spec(format!("{file}:{place}"), e.message().lines().collect::<Vec<_>>().join("; "))
        })?;
        let overrides = overrides.iter().map(|text| Override::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let applied = overrides::apply(&mut table, &overrides)?;
        let origin = Origin::new(file, text, applied);
        let mut spec = Spec::from_table(table).map_err(|complaint| origin.complain(complaint))?;
        spec.check().map_err(|invalid| origin.error(&invalid))?;
        spec.origin = origin;
        Ok(spec)
    }

    fn from_table(table: toml::Table) -> Result<Spec, Complaint> {
        let mut track = serde_path_to_error::Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(toml::Value::Table(table), &mut track);
        Spec::deserialize(deserializer).map_err(|e| {
            let path = track.path().to_string();
            Complaint::of(if path == "." { "" } else { &path }, e.message())
        })
    }

    /// The same error with the place of its setting in the spec's file, where it names a setting by its dotted path.
    ///
    /// What is found out while a run is built knows paths such as `model.widths[0]`, not lines and columns.
    pub fn locate(&self, error: Error) -> Error {
        match error.setting() {
            Some(invalid) => self.origin.error(&invalid),
            None => error,
        }
    }
}
