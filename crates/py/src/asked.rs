//! Questions that are answered at once or nearly so: what there is, whom to cite, degrees, optima, two runs side by side.

use std::path::PathBuf;

use latephase_lab::build::build;
use latephase_lab::compare::compare as compare_runs;
use latephase_lab::listing::{Kind, lines};
use latephase_lab::optima::ask::{self, Asked};
use latephase_lab::source::Lookup;
use latephase_lab::stint::read_manifest;
use latephase_lab::{Error, degree as calculus, export as exports, summary};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::attended::attended;
use crate::errors::{guard, raised};
use crate::specs::{Given, of_run, parse};

/// What can be named, by kind.
#[pyfunction]
pub fn listing(py: Python<'_>) -> PyResult<String> {
    guard(py, || {
        let of = |kind: &Kind| {
            let entries: Vec<Value> = lines(*kind)
                .into_iter()
                .map(|line| json!({ "name": line.name, "about": line.about, "example": line.example }))
                .collect();
            (kind.name().to_owned(), Value::from(entries))
        };
        Ok(Value::Object(Kind::ALL.iter().map(of).collect()).to_string())
    })
}

/// The works behind a spec, or a run where `dir` is given.
#[pyfunction]
pub fn cite(py: Python<'_>, given: Option<Given>, dir: Option<PathBuf>) -> PyResult<Vec<String>> {
    guard(py, || {
        let works = || {
            let (spec, credit) = match (given, dir) {
                (Some(given), _) => (parse(&given)?, None),
                (None, Some(dir)) => {
                    let credit =
                        read_manifest(&dir)?.and_then(|m| m["data"]["credit"].as_str().map(str::to_owned));
                    (of_run(&dir)?, credit)
                }
                (None, None) => return Err(Error::usage("name a spec or a run")),
            };
            Ok(summary::works(&spec, credit, &Lookup::from_env()))
        };
        works().map_err(|e| raised(py, &e))
    })
}

/// Builds the run of a spec without a step, and says what came of it.
#[pyfunction]
pub fn check_spec(py: Python<'_>, given: Given) -> PyResult<String> {
    answered(py, move || {
        let spec = parse(&given)?;
        let built = build(&spec, &Lookup::from_env()).map_err(|e| spec.locate(e))?;
        let problem = &built.run.problem;
        let files: Vec<Value> =
            built.files.iter().map(|f| json!({ "path": f.path, "sha256": f.sha256 })).collect();
        Ok(json!({
            "toml": spec.resolved_toml()?,
            "hash": spec.hash8()?,
            "train": problem.train.n(),
            "test": problem.test.as_ref().map(|t| t.n()),
            "inputs": problem.train.dim(),
            "classes": problem.train.classes,
            "parameters": problem.dim(),
            "degree": problem.model.degree().to_string(),
            "columns": built.columns,
            "files": files,
        }))
    })
}

/// The degree calculus of a spec's model.
#[pyfunction]
pub fn degree(py: Python<'_>, given: Given, radius: Option<f64>) -> PyResult<String> {
    answered(py, move || {
        let found = calculus::of(&parse(&given)?, radius, &Lookup::from_env())?;
        let mut value = found.json();
        value["sentence"] = found.whole.to_string().into();
        value["order"] = found.whole.order().into();
        Ok(value)
    })
}

/// The optima that margins are held against, of a spec or of a run.
#[pyfunction]
pub fn exact(
    py: Python<'_>,
    given: Option<Given>,
    dir: Option<PathBuf>,
    norms: Vec<String>,
    only: Vec<String>,
) -> PyResult<String> {
    answered(py, move || {
        let spec = match (&given, &dir) {
            (Some(given), _) => parse(given)?,
            (None, Some(dir)) => of_run(dir)?,
            (None, None) => return Err(Error::usage("name a spec or a run")),
        };
        let asked = Asked { norms: &norms, only: &only, run: dir.as_deref() };
        let found = ask::answer(&spec, &asked, &Lookup::from_env())?;
        let mut value = found.value;
        for (k, answer) in found.answers.iter().enumerate() {
            value["references"][k]["seconds"] = answer.seconds.into();
        }
        Ok(value)
    })
}

/// Two runs at equal loss.
#[pyfunction]
pub fn compare(py: Python<'_>, a: PathBuf, b: PathBuf) -> PyResult<String> {
    answered(py, move || Ok(compare_runs(&a, &b)?.json(&a, &b)))
}

/// Writes runs in the format of another tool, and says where.
#[pyfunction]
pub fn export(
    py: Python<'_>,
    dirs: Vec<PathBuf>,
    to: String,
    out: Option<PathBuf>,
    force: bool,
    python: Option<PathBuf>,
) -> PyResult<PathBuf> {
    let ended = attended(py, None, move |_, _| {
        exports::export(&dirs, exports::find(&to)?, &exports::Options { out, force, python })
    })?;
    ended.finished(py, |out| format!("{} had just been written", out.display()))
}

/// Works on another thread; Ctrl-C is raised once it has ended.
fn answered(
    py: Python<'_>,
    work: impl FnOnce() -> Result<Value, Error> + Send + 'static,
) -> PyResult<String> {
    let ended = attended(py, None, move |_, _| work())?;
    ended.finished(py, |_| String::new()).map(|value| value.to_string())
}
