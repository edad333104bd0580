//! Many runs: sweeps, recipes, the twin of a run, and the search for a violation.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latephase_core::limit::Look;
use latephase_lab::bands::{Across, trace};
use latephase_lab::claim::user::UserClaim;
use latephase_lab::claim::{Facts, find, twin};
use latephase_lab::findings::{Columns, of_one, refresh};
use latephase_lab::limit::{self as limits, Method, Start, Wanted};
use latephase_lab::progress::Current;
use latephase_lab::recipe::{self as recipes, RecipeOptions, Size};
use latephase_lab::refute::{self as search, Search, Target};
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Progress};
use latephase_lab::sweep::{self as sweeps, End, Member, Plan, SweepOptions};
use latephase_lab::{Error, Spec, build::build, company};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};

use crate::attended::{TELL_EVERY, Teller, Watch, attended};
use crate::errors::{guard, raised};
use crate::foreign;
use crate::runs::CHECKPOINT;
use crate::specs::{Given, of_run};

/// Runs every combination of the axes, and says how each run ended.
#[pyfunction]
#[pyo3(signature = (given, axes, out, threads, max_seconds, progress))]
pub fn sweep(
    py: Python<'_>,
    given: Given,
    axes: Vec<String>,
    out: Option<PathBuf>,
    threads: Option<usize>,
    max_seconds: Option<f64>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let ended = attended(py, progress, move |stop, teller| {
        let (text, file, name, overrides) = &given;
        let name = if name.is_empty() { "run" } else { name };
        let mut plan = Plan::new((text, file, name), overrides, &axes, out.as_deref())?;
        plan.members.iter_mut().try_for_each(|member| foreign::attach(&mut member.spec))?;
        if let Some(why) = plan.in_the_way()? {
            return Err(Error::usage(format!(
                "{} is not this sweep's: {why}; choose another directory",
                plan.dir.display()
            )));
        }
        let threads = sweeps::thread_count(threads);
        let count = plan.members.len();
        let watch =
            Watcher { teller, wide: sweeps::is_wide(count, threads), ended: AtomicUsize::new(0), count };
        let options = SweepOptions {
            threads: Some(threads),
            max_seconds,
            checkpoint_seconds: CHECKPOINT,
            stop,
            lookup: Lookup::from_env(),
            watch: &watch,
        };
        let ends = sweeps::run(&plan, &options)?;
        sweeps::write_summary(&plan, name, &options.lookup)?;
        let member = |(member, end): (&Member, &End)| {
            json!({
                "label": member.label,
                "group": member.group,
                "dir": member.dir.display().to_string(),
                "began": member.dir.join("rows.csv").exists(),
                "failure": match end { End::Failed(error) => Some(error.report()), _ => None },
            })
        };
        let runs: Vec<Value> = plan.members.iter().zip(&ends).map(member).collect();
        Ok(json!({ "dir": plan.dir.display().to_string(), "runs": runs }))
    })?;
    let saved = |value: &Value| {
        format!("what has ended is saved in {}; the same call with out={0} goes on from here", value["dir"])
    };
    ended.finished(py, saved).map(|value| value.to_string())
}

/// Tells of a sweep: of every step where the runs follow each other, of every end where they do not.
struct Watcher {
    teller: Teller,
    wide: bool,
    ended: AtomicUsize,
    count: usize,
}

impl sweeps::Watch for Watcher {
    fn begins(&self, member: &Member) -> Box<dyn Progress + Send> {
        match self.wide {
            true => Box::new(latephase_lab::stint::Unwatched),
            false => Box::new(self.teller.watch(&member.spec.stop)),
        }
    }

    fn ended(&self, member: &Member, end: &End) {
        let what = match end {
            End::Kept => "finished before".into(),
            End::Ran(outcome) => outcome.sentence(),
            End::Failed(error) => error.report(),
            End::NotBegun => "not begun".into(),
        };
        let k = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        self.teller.say(format!("{k}/{} {}: {what}", self.count, member.label));
    }
}

/// A column of several runs over another on a grid that they share: `x`, `mean`, `low`, `high`.
#[pyfunction]
pub fn band<'py>(
    py: Python<'py>,
    dirs: Vec<PathBuf>,
    column: &str,
    across: &str,
    log: Option<bool>,
) -> PyResult<Bound<'py, PyDict>> {
    guard(py, || {
        let runs: Result<Vec<Columns>, Error> = dirs.iter().map(|dir| Columns::read(dir)).collect();
        let runs = runs.map_err(|e| raised(py, &e))?;
        let found = trace("", &runs, &Across::of(across, log), column);
        // One run is its own band.
        let (low, high) = match found.low.is_empty() {
            true => (found.y.clone(), found.y.clone()),
            false => (found.low, found.high),
        };
        let dict = PyDict::new(py);
        for (name, values) in [("x", found.x), ("mean", found.y), ("low", low), ("high", high)] {
            dict.set_item(name, PyArray1::from_vec(py, values))?;
        }
        Ok(dict)
    })
}

/// Runs all of a recipe, by name or from a file.
#[pyfunction]
#[pyo3(signature = (name, size, out, threads, progress))]
pub fn recipe(
    py: Python<'_>,
    name: String,
    size: String,
    out: PathBuf,
    threads: Option<usize>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let place = out.clone();
    let ended = attended(py, progress, move |stop, teller| {
        let path = Path::new(&name);
        let is_file = path.is_file() || name.ends_with(".toml");
        let recipe = if is_file { recipes::read(path)? } else { recipes::find(&name)? };
        let size = match size.as_str() {
            "quick" => Size::Quick,
            "full" => Size::Full,
            _ => Size::Usual,
        };
        let watch = Mutex::new(None::<Watch>);
        let mut announce = |label: &str, spec: &Spec| {
            teller.say(format!("run {label}"));
            *watch.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(teller.watch(&spec.stop));
        };
        let options = RecipeOptions {
            threads,
            stop,
            lookup: Lookup::from_env(),
            announce: &mut announce,
            progress: &mut Current(&watch),
        };
        let result = recipes::run(&recipe, size, &out, options)?;
        Ok(result.json(&recipe, size))
    })?;
    let saved = |_: &Value| {
        format!(
            "what has ended is saved in {:?}; the same call with that `out` goes on from here",
            place.display().to_string()
        )
    };
    ended.finished(py, saved).map(|value| value.to_string())
}

/// Holds the theorems against a run anew, with its twin at half the step where asked for; or one claim of one's own.
#[pyfunction]
#[pyo3(signature = (dir, only, claim, with_twin, threads, progress))]
pub fn check(
    py: Python<'_>,
    dir: PathBuf,
    only: Vec<String>,
    claim: Option<PathBuf>,
    with_twin: bool,
    threads: Option<usize>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let ended = attended(py, progress, move |stop, teller| {
        for id in &only {
            find(id).map_err(Error::usage)?;
        }
        let own = claim.map(|path| UserClaim::read(&path, &search::columns())).transpose()?;
        let spec = of_run(&dir)?;
        let lookup = Lookup::from_env();
        if with_twin {
            let twin = twin::of(&spec)?;
            let mut watch = teller.watch(&twin.stop);
            let options = Options {
                threads,
                max_seconds: None,
                checkpoint_seconds: CHECKPOINT,
                stop,
                lookup: lookup.clone(),
                progress: &mut watch,
            };
            twin::make(&twin, &dir, options)?;
        }
        if let Some(own) = own {
            let built = build(&spec, &lookup).map_err(|e| spec.locate(e))?;
            return Ok(json!({ "claims": [of_one(&dir, Facts::of_built(&spec, &built), &own)?.json()] }));
        }
        let mut findings = refresh(&dir, &spec, &lookup)?;
        if let Some(claims) = findings["claims"].as_array_mut() {
            claims.retain(|c| only.is_empty() || only.iter().any(|id| c["id"] == id.as_str()));
        }
        Ok(findings)
    })?;
    ended.finished(py, |_| "the twin is saved; the same call goes on with it".into()).map(|v| v.to_string())
}

/// Searches for a run that violates a claim or a conjecture.
#[pyfunction]
#[pyo3(signature = (name, budget, seed, out, threads, progress))]
pub fn refute(
    py: Python<'_>,
    name: String,
    budget: f64,
    seed: u64,
    out: Option<PathBuf>,
    threads: Option<usize>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let ended = attended(py, progress, move |stop, teller| {
        let target = Target::find(&name)?;
        let report = company::pool(threads)?.install(|| {
            search::refute(
                &target,
                Search {
                    budget: Duration::from_secs_f64(budget),
                    seed,
                    stop,
                    progress: &mut |at| teller.search(Some(at.part), format!("{} runs", at.tried)),
                },
            )
        })?;
        if let (Some(dir), true) = (&out, report.found.is_some()) {
            search::save(dir, &target, &report)?;
        }
        let mut value = report.json(target.claim());
        value["spec"] = report.found.as_ref().map(|f| f.spec.clone()).into();
        Ok(value)
    })?;
    ended.finished(py, |_| "the search was ended; nothing had been found".into()).map(|v| v.to_string())
}

/// Goes from a run to the KKT point that its direction is heading for.
#[pyfunction]
#[pyo3(signature = (dir, at, method, tolerance, max_seconds, progress))]
pub fn limit(
    py: Python<'_>,
    dir: PathBuf,
    at: Option<f64>,
    method: String,
    tolerance: f64,
    max_seconds: Option<f64>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let ended = attended(py, progress, move |stop, teller| {
        let mut start = Start::of_run(&dir, at)?;
        foreign::attach(&mut start.spec)?;
        let built = build(&start.spec, &Lookup::from_env()).map_err(|e| start.spec.locate(e))?;
        let problem = &built.run.problem;
        let theta = start.theta(problem)?;
        let mut last = Instant::now();
        let mut watch = |way: &'static str, look: &Look| {
            if last.elapsed() >= TELL_EVERY {
                last = Instant::now();
                teller.search(None, format!("{way}  step {}  residual {:.2e}", look.step, look.residual));
            }
        };
        let method = match method.as_str() {
            "flow" => Method::Flow,
            "short-cut" => Method::ShortCut,
            _ => Method::Both,
        };
        let wanted = Wanted { method, tolerance, max_seconds, stop, watch: &mut watch };
        let found = limits::find(problem, &theta, wanted)?;
        let mut record = found.json(&start.spec, &start.from, tolerance)?;
        let place = dir.join(limits::DIR);
        found.write(&place, &record, &start, problem)?;
        record["found"] = found.is_found().into();
        record["dir"] = place.display().to_string().into();
        Ok(record)
    })?;
    ended
        .finished(py, |_| "the search was ended; what it had is in the run's directory".into())
        .map(|v| v.to_string())
}
