//! The native half of the Python package: dicts come as JSON and paths, results go as JSON and numpy arrays.
//!
//! Nothing here is public to users of Python; `python/latephase` is, and gives every call its types and its documentation.
//! The rules of the border: the interpreter's lock is free while Rust works ([`attended`]), no panic crosses ([`errors::guard`]), and
//! no array is a view of memory that Rust keeps ([`arrays`]).

mod arrays;
mod asked;
mod attended;
mod errors;
mod foreign;
mod foreign_tools;
mod runs;
mod specs;
mod sweeps;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use crate::asked::{check_spec, cite, compare, degree, exact, export, listing};
    #[pymodule_export]
    use crate::errors::panic_on_purpose;
    #[pymodule_export]
    use crate::foreign::{audit, hold_data, hold_model, release_data, release_model, take_fault};
    #[pymodule_export]
    use crate::foreign_tools::{evaluate_loss, steepest};
    #[pymodule_export]
    use crate::runs::{columns, resume, run, standing, theta};
    #[pymodule_export]
    use crate::specs::{inline, json_of, source, toml_of};
    #[pymodule_export]
    use crate::sweeps::{band, check, limit, recipe, refute, sweep};

    /// What an exception is told to say comes from the hook; nothing is printed.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::errors::listen();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
