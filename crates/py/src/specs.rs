//! What a user gives as a spec, as the text that the lab reads.

use latephase_lab::input;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::{guard, raised};

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
