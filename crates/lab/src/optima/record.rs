//! `exact.json` of a run directory: what its margins are held against, and how far below they ended.

use std::path::Path;

use serde_json::{Value, json};

use super::{Answer, Scope};
use crate::error::Error;
use crate::findings::Columns;
use crate::stint::pretty;
use crate::store::write_whole;

/// The file's name in a run directory.
pub const FILE: &str = "exact.json";

/// Certificates are written with at most this many of their examples, the heaviest first.
const HEAVIEST: usize = 100;

/// The answers, each with the run's last value of its column and its distance below the optimum.
pub fn value(spec: &str, answers: &[Answer], columns: Option<&Columns>) -> Value {
    json!({ "spec": spec, "references": answers.iter().map(|a| one(a, columns)).collect::<Vec<_>>() })
}

fn one(answer: &Answer, columns: Option<&Columns>) -> Value {
    let mut object = json!({
        "reference": answer.reference,
        "column": answer.column,
        "scope": answer.scope.name(),
        "unit": answer.unit,
    });
    match &answer.result {
        Ok(bounds) => {
            object["value"] = json!(bounds.value);
            object["bound"] = json!(bounds.bound);
            object["gap"] = json!(bounds.gap());
            object["support"] = json!(answer.weights.len());
            if let Some(columns) = columns {
                let margin = columns.last(&answer.column);
                object["run"] = json!(margin);
                object["below"] = json!(bounds.distance(margin));
                object["below_value"] = json!((bounds.value - margin) / bounds.value);
            }
        }
        Err(failure) => {
            let mut heavy = answer.weights.clone();
            heavy.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.example.cmp(&b.example)));
            heavy.truncate(HEAVIEST);
            object["failure"] = json!(failure.to_string());
            object["certificate"] = heavy
                .iter()
                .map(|w| json!({ "example": w.example, "rival": w.rival, "weight": w.weight }))
                .collect();
        }
    }
    object
}

/// Writes `exact.json` into a run directory.
///
/// # Errors
/// When it cannot be written.
pub fn write(dir: &Path, value: &Value) -> Result<(), Error> {
    write_whole(&dir.join(FILE), &pretty(value))
}

/// A line of `exact.json`, as the report draws it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The reference.
    pub reference: String,
    /// The column of the record.
    pub column: String,
    /// Whether the value is a global optimum.
    pub scope: Scope,
    /// How the exact problem translates into the column.
    pub unit: String,
    /// Attained by some θ; NaN where none is known.
    pub value: f64,
    /// Not exceeded by any θ; NaN where nothing is known.
    pub bound: f64,
    /// How far below the bound the run ended, relative to it.
    pub below: f64,
    /// How far below the value, relative to it.
    pub below_value: f64,
}

/// The lines with bounds of a run directory; none where it has no `exact.json`.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn read(dir: &Path) -> Result<Vec<Line>, Error> {
    let path = dir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(&path, "read", e)),
    };
    let value: Value =
        serde_json::from_str(&text).map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
    let lines = value["references"].as_array().map(Vec::as_slice).unwrap_or_default();
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let line = |v: &Value| Line {
        reference: text(&v["reference"]),
        column: text(&v["column"]),
        scope: if v["scope"] == "local" { Scope::Local } else { Scope::Global },
        unit: text(&v["unit"]),
        value: number(&v["value"]),
        bound: number(&v["bound"]),
        below: number(&v["below"]),
        below_value: number(&v["below_value"]),
    };
    Ok(lines.iter().filter(|v| v["failure"].is_null()).map(line).collect())
}
