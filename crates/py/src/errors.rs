//! From errors and panics of Rust to exceptions of Python.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use latephase_lab::Error;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// What `latephase._spec` calls a dict and TOML text.
const DICT: &str = "<dict>";
const TEXT: &str = "<spec>";

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of a panic for the exception, instead of printing it.
pub fn listen() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
        PLACE.with(|slot| *slot.borrow_mut() = place);
    }));
}

/// What a panic said, and where it was.
pub fn message(payload: &(dyn Any + Send)) -> String {
    let said = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    match PLACE.with(|slot| slot.borrow_mut().take()) {
        Some(place) => format!("{said} ({place})"),
        None => said.to_owned(),
    }
}

/// `latephase.InternalError`: a bug of ours, said as one.
pub fn internal(py: Python<'_>, message: &str) -> PyErr {
    let text = format!("latephase met a state that it should not meet: {message}");
    match class(py, "InternalError").and_then(|class| class.call1((text.as_str(),))) {
        Ok(value) => PyErr::from_value(value),
        Err(_) => PyRuntimeError::new_err(text),
    }
}

/// Runs what may panic; a panic becomes an exception.
///
/// # Errors
/// What `work` raises, or `latephase.InternalError`.
pub fn guard<T>(py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(internal(py, &message(&*payload))))
}

/// The exception of an error: `latephase.SpecError` with its attributes, `OSError` with its number and file, else `ValueError`.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    spec_error(py, error).or_else(|| os_error(error)).unwrap_or_else(|| PyValueError::new_err(error.report()))
}

fn spec_error(py: Python<'_>, error: &Error) -> Option<PyErr> {
    let wrong = error.wrong()?;
    let place = wrong.file_line_column();
    // Nobody has seen the TOML that a dict or a recipe was turned into.
    let (text, place) = match place {
        Some((DICT, ..)) => (wrong.message.to_owned(), None),
        Some((recipe, ..)) if recipe.starts_with("recipe ") => (format!("{recipe}: {}", wrong.message), None),
        _ => (error.report(), place),
    };
    let file = place.map(|(file, ..)| file).filter(|file| *file != TEXT);
    let arguments = (text, wrong.key, file, place.map(|p| p.1), place.map(|p| p.2));
    let made = class(py, "SpecError").and_then(|class| class.call1(arguments));
    Some(made.map_or_else(|e| e, PyErr::from_value))
}

fn os_error(error: &Error) -> Option<PyErr> {
    let (path, source) = error.file()?;
    Some(match source.raw_os_error() {
        // Three arguments: Python chooses the subclass, such as FileNotFoundError, by the number.
        Some(number) => PyOSError::new_err((number, error.report(), path.display().to_string())),
        None => PyOSError::new_err(error.report()),
    })
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("latephase._errors")?.getattr(name)
}

/// Panics, so that a test can see what becomes of it: here, or on the thread of a run.
#[pyfunction]
pub fn panic_on_purpose(py: Python<'_>, on_thread: bool) -> PyResult<()> {
    if on_thread {
        return crate::attended::attended(py, None, |_, _| -> Result<(), Error> { panic!("on purpose") })
            .map(|_| ());
    }
    guard(py, || panic!("on purpose"))
}
