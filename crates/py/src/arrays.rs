//! Arrays for Python: each owns its memory, handed over without a copy.

use latephase_lab::findings::Columns;
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A dict of float64 arrays, in the order of the columns.
pub fn of_columns(py: Python<'_>, columns: Columns) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, values) in columns.0 {
        dict.set_item(name, PyArray1::from_vec(py, values))?;
    }
    Ok(dict)
}

/// A dict of float64 arrays by block name, each in its own shape, from the bytes of a safetensors file.
pub fn of_tensors<'py>(py: Python<'py>, bytes: &[u8], file: &str) -> PyResult<Bound<'py, PyDict>> {
    let fail = |text: String| PyValueError::new_err(format!("{file}: {text}"));
    let blocks = latephase_lab::store::tensors::read_blocks(bytes).map_err(fail)?;
    let dict = PyDict::new(py);
    for block in blocks {
        let flat = PyArray1::from_vec(py, block.values);
        dict.set_item(block.name, flat.call_method1("reshape", (block.shape,))?)?;
    }
    Ok(dict)
}
