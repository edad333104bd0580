//! A stint of a run in its directory: begin or go on, and finish. A run that is interrupted and resumed takes several.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latephase_core::probe::Row;
use latephase_core::{Layout, Problem, State};
use serde_json::json;

use crate::build::{Built, build};
use crate::claim::Facts;
use crate::company;
use crate::error::Error;
use crate::findings::{self, Columns};
use crate::hydra;
use crate::optima::{Setting, answers, record};
use crate::outcome::Outcome;
use crate::page;
use crate::run::{Run, Sink, Tick};
use crate::source::{FileHash, Lookup};
use crate::spec::Spec;
use crate::stop::Status;
use crate::store::{Store, tensors};

/// What the caller decides about a stint, none of which changes a byte of its results.
pub struct Options<'a> {
    /// Threads to evaluate on; all cores when absent.
    pub threads: Option<usize>,
    /// Wall-clock budget, after which the run is interrupted and can be resumed.
    pub max_seconds: Option<f64>,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: f64,
    /// Set from outside to end after the current step.
    pub stop: &'a AtomicBool,
    /// Where data files are looked for.
    pub lookup: Lookup,
    /// Told of every look and, now and then, of every step.
    pub progress: &'a mut (dyn Progress + Send),
}

/// Someone who watches a run.
pub trait Progress {
    /// A look was written.
    fn look(&mut self, row: &Row);
    /// A step was taken; called after every one, so it has to be cheap.
    fn step(&mut self, status: &Status);
}

/// Nobody watches.
pub struct Unwatched;

impl Progress for Unwatched {
    fn look(&mut self, _: &Row) {}
    fn step(&mut self, _: &Status) {}
}

/// A stint that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run directory.
    pub dir: PathBuf,
    /// How it ended.
    pub outcome: Outcome,
    /// Seconds in the loop, in this stint.
    pub seconds: f64,
    /// The manifest, as written.
    pub manifest: serde_json::Value,
}

/// What stands in a directory already.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nothing: it is absent or empty.
    Free,
    /// This very spec, finished.
    Finished,
    /// This very spec, unfinished.
    Unfinished,
    /// Something else.
    Foreign(String),
}

/// Looks at a directory before a run of `spec` is begun there.
///
/// # Errors
/// When it cannot be read.
pub fn standing(dir: &Path, spec: &Spec) -> Result<Standing, Error> {
    if is_free(dir)? {
        return Ok(Standing::Free);
    }
    let path = dir.join("spec.toml");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(Standing::Foreign("it holds no spec.toml".into()));
    };
    let there = match Spec::parse(&text, &path.display().to_string(), &[]) {
        Ok(there) => there,
        Err(_) => return Ok(Standing::Foreign("its spec.toml is not one of this version's".into())),
    };
    if there.hash8()? != spec.hash8()? {
        return Ok(Standing::Foreign("it holds a run of another spec".into()));
    }
    let manifest = read_manifest(dir)?;
    let finished = manifest.is_some_and(|m| m["outcome"]["kind"] != "interrupted");
    Ok(if finished { Standing::Finished } else { Standing::Unfinished })
}

/// Whether a directory is absent, or holds nothing but what a run killed in its first moments leaves: empty
/// directories, a spec that was not yet renamed into place, and `.hydra`.
fn is_free(dir: &Path) -> Result<bool, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(Error::io(dir, "list", e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(dir, "list", e))?.path();
        let is_left = match path.file_name().and_then(|n| n.to_str()) {
            Some("checkpoints" | "snapshots") => {
                fs::read_dir(&path).is_ok_and(|mut inside| inside.next().is_none())
            }
            // The layout of Hydra puts its settings there before a run begins.
            Some("spec.partial" | hydra::FOLDER) => true,
            _ => false,
        };
        if !is_left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The manifest of a run directory, where there is one.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_manifest(dir: &Path) -> Result<Option<serde_json::Value>, Error> {
    let path = dir.join("manifest.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(&path, "read", e)),
    };
    serde_json::from_str(&text).map(Some).map_err(|e| Error::usage(format!("{}: {e}", path.display())))
}

/// Runs a spec in a new directory.
///
/// # Errors
/// What is wrong with the spec or the data, or what could not be written.
pub fn begin(spec: &Spec, dir: &Path, options: Options<'_>) -> Result<Finished, Error> {
    begin_among(spec, dir, options, &Company::default())
}

/// What a run shares with others of a sweep, and whether it writes less than a run alone. None of it changes a byte of rows, θ
/// or snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Company<'a> {
    /// Threads to evaluate on, in place of a pool of its own.
    pub pool: Option<&'a rayon::ThreadPool>,
    /// Data that others have loaded.
    pub data: Option<&'a company::Data>,
    /// Whether to write no page, no checkpoint before the first step, and no file twice as surely: a loss of power may take the
    /// run, which is begun again then.
    pub brief: bool,
}

/// Runs a spec in a new directory, in company.
///
/// # Errors
/// As [`begin`].
pub fn begin_among(
    spec: &Spec,
    dir: &Path,
    options: Options<'_>,
    company: &Company<'_>,
) -> Result<Finished, Error> {
    let built = ready(spec, &options.lookup, company)?;
    begin_built(spec, built, dir, options, company)
}

fn begin_built(
    spec: &Spec,
    built: Built,
    dir: &Path,
    options: Options<'_>,
    company: &Company<'_>,
) -> Result<Finished, Error> {
    let text = resolved_text(spec, &built)?;
    let create = if company.brief { Store::create_briefly } else { Store::create };
    let store = create(dir, &text, &built.columns)?;
    drive(spec, built, store, options, true, company)
}

/// Goes on with an interrupted or killed run; begins it again where it was killed before its first checkpoint.
///
/// # Errors
/// When the directory holds no resumable run, or cannot be written; when a data file is not the one it began with.
pub fn resume(dir: &Path, options: Options<'_>) -> Result<Finished, Error> {
    resume_as(&read_spec(dir)?, dir, options)
}

/// The same, given the directory's own spec with the code and the arrays that no file holds.
///
/// # Errors
/// As [`resume`].
pub fn resume_as(spec: &Spec, dir: &Path, options: Options<'_>) -> Result<Finished, Error> {
    resume_among(spec, dir, options, &Company::default())
}

/// Goes on in company with a run whose spec is at hand.
///
/// # Errors
/// As [`resume`].
pub fn resume_among(
    spec: &Spec,
    dir: &Path,
    options: Options<'_>,
    company: &Company<'_>,
) -> Result<Finished, Error> {
    let mut built = ready(spec, &options.lookup, company)?;
    same_files(dir, &built)?;
    if !Store::has_checkpoints(dir)? {
        return begin_built(spec, built, dir, options, company);
    }
    let (store, state) = Store::reopen(dir)?;
    built.run.load(&state).map_err(|e| Error::usage(format!("{}: {e}", dir.display())))?;
    drive(spec, built, store, options, false, company)
}

/// The run of a spec. A data file that cannot be read is wrong before the run, not a failure during it.
fn ready(spec: &Spec, lookup: &Lookup, company: &Company<'_>) -> Result<Built, Error> {
    let built = match company.data {
        Some(data) => data.build(spec, lookup),
        None => build(spec, lookup),
    };
    built.map_err(|e| if e.is_io() { Error::content(e.report()) } else { spec.locate(e) })
}

/// Holds the data files to the hashes at the head of `spec.toml`.
fn same_files(dir: &Path, built: &Built) -> Result<(), Error> {
    let path = dir.join("spec.toml");
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    let changed = built.files.iter().find(|f| !text.lines().any(|line| line == hash_line(f)));
    match changed {
        None => Ok(()),
        Some(file) => Err(Error::content(format!(
            "{} is not the file that {} began with: its SHA-256 is {}; put the former file back, or run the spec anew",
            file.path,
            dir.display(),
            file.sha256
        ))),
    }
}

fn hash_line(file: &FileHash) -> String {
    format!("# {} has SHA-256 {}", file.path, file.sha256)
}

/// The spec of a run directory.
///
/// # Errors
/// When it is not there or not valid.
pub fn read_spec(dir: &Path) -> Result<Spec, Error> {
    let path = dir.join("spec.toml");
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    Spec::parse(&text, &path.display().to_string(), &[])
}

fn resolved_text(spec: &Spec, built: &Built) -> Result<String, Error> {
    let mut text = String::new();
    for file in &built.files {
        text.push_str(&hash_line(file));
        text.push('\n');
    }
    text.push_str(&spec.resolved_toml()?);
    Ok(text)
}

fn drive(
    spec: &Spec,
    built: Built,
    store: Store,
    mut options: Options<'_>,
    fresh: bool,
    company: &Company<'_>,
) -> Result<Finished, Error> {
    let dir = store.dir().to_owned();
    let mut own = None;
    let pool = match company.pool {
        Some(pool) => pool,
        None => &*own.insert(company::pool(options.threads)?),
    };
    let Built { mut run, files, truth, credit, .. } = built;
    let started = Instant::now();
    let mut recorder = Recorder {
        layout: run.problem.model.stored().clone(),
        frozen: frozen(&run.problem),
        hash: spec.hash8()?,
        started,
        last: started,
        every: Duration::from_secs_f64(options.checkpoint_seconds),
        timings: Vec::new(),
        store,
        options: &mut options,
    };
    if fresh && !company.brief {
        // From the first moment on there is something to resume from.
        recorder.checkpoint(run.save())?;
    }
    let outcome = pool.install(|| run.go(&mut recorder))?;
    let seconds = started.elapsed().as_secs_f64();
    let timings = recorder.timings;
    let store = recorder.store;

    let model = &run.problem.model;
    let frozen = frozen(&run.problem);
    let meta = meta(json!({ "spec": spec.hash8()?, "ln_loss": run.status.ln_loss }), &frozen);
    let stored = model.export(run.at.theta());
    let theta = tensors::theta_bytes(&stored, model.stored(), &meta).map_err(Error::usage)?;
    store.write("theta.safetensors", &theta)?;
    let manifest = json!({
        "latephase": env!("CARGO_PKG_VERSION"),
        "spec": spec.hash8()?,
        "outcome": outcome,
        "sentence": outcome.sentence(),
        "seconds": seconds,
        "threads": pool.current_num_threads(),
        "machine": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH },
        "model": { "degree": model.degree().to_string(), "parameters": run.problem.dim(), "frozen": frozen },
        "data": {
            "train": run.problem.train.n(),
            "test": run.problem.test.as_ref().map(|t| t.n()),
            "classes": run.problem.train.classes,
            "files": files.iter().map(|f| json!({ "path": f.path, "sha256": f.sha256 })).collect::<Vec<_>>(),
            "credit": credit,
            "truth": truth.as_ref().map(|t| json!({
                "margin_l2": t.margin_l2, "margin_l1": t.margin_l1, "margin_linf": t.margin_linf, "direction": t.direction, "margin_global": t.margin_global,
                "margin_global_lower": t.margin_global_lower, "margin_nc": t.margin_nc, "note": t.note })),
        },
        "counts": counts(&run),
        "looks": timings,
    });
    let facts = Facts::of(spec, &run.problem, run.at.theta(), truth.as_ref());
    let findings = findings::of(&dir, facts)?;
    store.write("findings.json", &pretty(&findings))?;
    store.write("manifest.json", &pretty(&manifest))?;
    if spec.exact && !outcome.is_interrupted() {
        hold(&dir, spec, &run)?;
    }
    if !company.brief {
        let report = page::of_run(&dir, &run.problem)?;
        store.write("report.html", report.as_bytes())?;
    }
    Ok(Finished { dir, outcome, seconds, manifest })
}

/// Writes the optima that the margins of a finished run are held against.
fn hold(dir: &Path, spec: &Spec, run: &Run) -> Result<(), Error> {
    let mut setting = Setting::of(spec, &run.problem);
    setting.theta = Some(run.at.theta());
    let all = answers(&setting, &|_, _| true);
    record::write(dir, &record::value(&spec.hash8()?, &all, Some(&Columns::read(dir)?)))
}

/// The stored blocks that are not of θ.
fn frozen(problem: &Problem) -> Vec<String> {
    let trained = problem.model.layout().blocks();
    let is_frozen = |name: &String| trained.iter().all(|b| b.name != *name);
    problem.model.stored().blocks().iter().map(|b| b.name.clone()).filter(is_frozen).collect()
}

/// The line of metadata of a file of weights; it names the frozen blocks, which no measure of θ counts.
fn meta(mut about: serde_json::Value, frozen: &[String]) -> String {
    if !frozen.is_empty() {
        about[tensors::FROZEN] = json!(frozen);
    }
    about.to_string()
}

fn counts(run: &Run) -> serde_json::Value {
    let clocks = &run.at.clocks;
    let mut counts = serde_json::Map::new();
    counts.insert("steps".into(), json!(clocks.step));
    counts.insert("epochs".into(), json!(clocks.epoch));
    counts.insert("evaluations".into(), json!(clocks.evaluations));
    for (name, count) in run.phases.iter().flat_map(|p| p.algorithm.counts()) {
        counts.insert(name.into(), json!(count));
    }
    counts.into()
}

/// Indented JSON with a final line break.
pub fn pretty(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

struct Recorder<'a, 'b> {
    layout: Layout,
    frozen: Vec<String>,
    hash: String,
    started: Instant,
    last: Instant,
    every: Duration,
    /// (step, seconds) of every look of this stint.
    timings: Vec<(u64, f64)>,
    store: Store,
    options: &'a mut Options<'b>,
}

impl Sink for Recorder<'_, '_> {
    fn row(&mut self, row: &Row) -> Result<ControlFlow<()>, Error> {
        self.store.row(row)?;
        self.timings.push((row.get("step") as u64, self.started.elapsed().as_secs_f64()));
        self.options.progress.look(row);
        Ok(ControlFlow::Continue(()))
    }

    fn tick(&mut self, status: &Status) -> Tick {
        self.options.progress.step(status);
        if self.options.stop.load(Ordering::Relaxed) {
            return Tick::Stop("asked to stop".into());
        }
        let now = Instant::now();
        if let Some(budget) = self.options.max_seconds
            && now.duration_since(self.started).as_secs_f64() > budget
        {
            return Tick::Stop(format!("the budget of {budget} s ran out"));
        }
        if now.duration_since(self.last) > self.every { Tick::Checkpoint } else { Tick::Continue }
    }

    fn checkpoint(&mut self, state: State) -> Result<(), Error> {
        let begun = Instant::now();
        self.store.checkpoint(state)?;
        // Large states are saved less often: at most a twentieth of the time goes into it.
        self.every = self.every.max(begun.elapsed() * 20);
        self.last = Instant::now();
        Ok(())
    }

    fn keep(&mut self, log10_loss: f64, stored: &[f64]) -> Result<(), Error> {
        let meta = meta(json!({ "spec": self.hash, "log10_loss": log10_loss }), &self.frozen);
        let bytes = tensors::theta_bytes(stored, &self.layout, &meta).map_err(Error::usage)?;
        self.store.write(&snapshot_name(log10_loss), &bytes)
    }
}

/// Where θ at a level of loss is kept.
pub fn snapshot_name(log10_loss: f64) -> String {
    format!("snapshots/log10_loss_{}.safetensors", crate::store::number(log10_loss))
}
