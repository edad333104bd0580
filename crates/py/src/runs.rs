//! Runs in their directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use latephase_lab::build::default_directory;
use latephase_lab::findings::Columns;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{self, Finished, Options, Standing};
use latephase_lab::{Error, Spec};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays;
use crate::attended::{Attended, Teller, attended};
use crate::errors::{guard, raised};
use crate::specs::{Given, of_run, parse};

/// Seconds between checkpoints.
pub const CHECKPOINT: f64 = 30.0;

/// Where the run of a spec goes by default, and what stands in a directory: `"free"`, `"finished"`, `"unfinished"`, or why it is
/// another's.
#[pyfunction]
pub fn standing(py: Python<'_>, given: Given, out: Option<PathBuf>) -> PyResult<(PathBuf, String)> {
    guard(py, || {
        let look = || -> Result<(PathBuf, String), Error> {
            let spec = parse(&given)?;
            let dir = match out {
                Some(dir) => dir,
                None => default_directory(&spec, "run")?,
            };
            let text = match stint::standing(&dir, &spec)? {
                Standing::Free => "free".into(),
                Standing::Finished => "finished".into(),
                Standing::Unfinished => "unfinished".into(),
                Standing::Foreign(why) => why,
            };
            Ok((dir, text))
        };
        look().map_err(|e| raised(py, &e))
    })
}

/// Runs a spec in a directory that is free.
#[pyfunction]
#[pyo3(signature = (given, out, threads, max_seconds, progress))]
pub fn run(
    py: Python<'_>,
    given: Given,
    out: PathBuf,
    threads: Option<usize>,
    max_seconds: Option<f64>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let spec = guard(py, || parse(&given).map_err(|e| raised(py, &e)))?;
    let ended = attended(py, progress, move |stop, teller| {
        go(&spec, threads, max_seconds, stop, &teller, |options| stint::begin(&spec, &out, options))
    })?;
    settle(py, ended)
}

/// Goes on with the run of a directory.
#[pyfunction]
#[pyo3(signature = (dir, threads, max_seconds, progress))]
pub fn resume(
    py: Python<'_>,
    dir: PathBuf,
    threads: Option<usize>,
    max_seconds: Option<f64>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let spec = guard(py, || of_run(&dir).map_err(|e| raised(py, &e)))?;
    let ended = attended(py, progress, move |stop, teller| {
        go(&spec, threads, max_seconds, stop, &teller, |options| stint::resume_as(&spec, &dir, options))
    })?;
    settle(py, ended)
}

fn go(
    spec: &Spec,
    threads: Option<usize>,
    max_seconds: Option<f64>,
    stop: &AtomicBool,
    teller: &Teller,
    work: impl FnOnce(Options<'_>) -> Result<Finished, Error>,
) -> Result<Finished, Error> {
    work(Options {
        threads,
        max_seconds,
        checkpoint_seconds: CHECKPOINT,
        stop,
        lookup: Lookup::from_env(),
        progress: &mut teller.watch(&spec.stop),
    })
}

fn settle(py: Python<'_>, ended: Attended<Finished>) -> PyResult<()> {
    let saved = |finished: &Finished| {
        let dir = finished.dir.display();
        match finished.outcome.is_interrupted() {
            true => format!("everything is saved; latephase.resume({:?}) goes on from here", dir.to_string()),
            false => format!("the run had just ended; latephase.load({:?}) reads it", dir.to_string()),
        }
    };
    ended.finished(py, saved).map(|_| ())
}

/// The columns of a run directory.
#[pyfunction]
pub fn columns<'py>(py: Python<'py>, dir: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    guard(py, || {
        let columns = Columns::read(&dir).map_err(|e| raised(py, &e))?;
        arrays::of_columns(py, columns)
    })
}

/// The blocks of a file of weights.
#[pyfunction]
pub fn theta<'py>(py: Python<'py>, file: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    guard(py, || {
        let bytes = read(&file)?;
        arrays::of_tensors(py, &bytes, &file.display().to_string())
    })
}

fn read(file: &Path) -> PyResult<Vec<u8>> {
    fs::read(file).map_err(|e| match e.raw_os_error() {
        Some(number) => PyOSError::new_err((number, e.to_string(), file.display().to_string())),
        None => PyOSError::new_err(e.to_string()),
    })
}
