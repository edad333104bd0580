//! What a user gives as a spec, as the text that the lab reads.

use std::path::Path;

use latephase_lab::stint::read_spec;
use latephase_lab::{Error, Spec, input};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{guard, raised};
use crate::foreign;

/// A spec that was read: its text, what messages call it, its name and its overrides.
pub type Given = (String, String, String, Vec<String>);

/// The spec, with its name where it has none of its own.
///
/// # Errors
/// What is wrong with it.
pub fn parse(given: &Given) -> Result<Spec, Error> {
    let (text, file, name, overrides) = given;
    let mut spec = Spec::parse(text, file, overrides)?;
    if spec.name.is_none() && !name.is_empty() {
        spec.name = Some(name.clone());
    }
    foreign::attach(&mut spec)?;
    Ok(spec)
}

/// The spec of a run directory, with the networks and arrays of this program that it names.
///
/// # Errors
/// When it cannot be read.
pub fn of_run(dir: &Path) -> Result<Spec, Error> {
    let mut spec = read_spec(dir)?;
    foreign::attach(&mut spec)?;
    Ok(spec)
}

/// The text of a spec file, or of a recipe's base spec: `(text, file, name)`.
#[pyfunction]
pub fn source(py: Python<'_>, what: &str) -> PyResult<(String, String, String)> {
    guard(py, || {
        let input = input::text(what).map_err(|e| raised(py, &e))?;
        Ok((input.text, input.file, input.name))
    })
}

/// The TOML of a JSON object.
#[pyfunction]
pub fn toml_of(py: Python<'_>, json: &str) -> PyResult<String> {
    guard(py, || {
        let value = value_of(json)?;
        toml::to_string(&value).map_err(|e| PyValueError::new_err(e.to_string()))
    })
}

/// The TOML of one JSON value, on one line, as an override has it.
#[pyfunction]
pub fn inline(py: Python<'_>, json: &str) -> PyResult<String> {
    guard(py, || Ok(value_of(json)?.to_string()))
}

/// The JSON of TOML.
#[pyfunction]
pub fn json_of(py: Python<'_>, toml: &str) -> PyResult<String> {
    guard(py, || {
        let table: toml::Table = toml::from_str(toml).map_err(|e| PyValueError::new_err(e.to_string()))?;
        serde_json::to_string(&table).map_err(|e| PyValueError::new_err(e.to_string()))
    })
}

fn value_of(json: &str) -> PyResult<toml::Value> {
    serde_json::from_str(json).map_err(|e| PyValueError::new_err(format!("not what a spec can hold: {e}")))
}
