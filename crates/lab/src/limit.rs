//! To the end of a run: the KKT point that its direction is heading for, with its certificate.
//!
//! Two ways lead there, the flow in the clock ln ρ at temperature zero, and the short cut ([`latephase_core::limit`]). They need
//! not end at the same point, so that both can be taken, and what is written says the angle between them.
//!
//! | file in `RUN/limit/` | what |
//! |---|---|
//! | `limit.json` | what was found, and from where |
//! | `limit.safetensors` | θ at the end of the short cut, scaled to ‖θ‖ = 1; of the flow where that alone was asked for |
//! | `flow.safetensors` | θ at the end of the flow, where both were asked for |

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use latephase_core::kkt::Verdict;
use latephase_core::limit::{Certificate, Ending, Found, Look, Way, follow};
use latephase_core::numeric::{angle, norm, scale};
use latephase_core::{Degree, Problem};
use serde_json::{Value, json};

use crate::error::Error;
use crate::page;
use crate::spec::Spec;
use crate::stint::{pretty, read_spec, snapshot_name};
use crate::store::{Store, tensors, write_whole};
use crate::summary::plain;

/// The directory in a run's own.
pub const DIR: &str = "limit";
/// The file that says what was found.
pub const FILE: &str = "limit.json";

/// How to get to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The flow alone.
    Flow,
    /// The short cut alone.
    ShortCut,
    /// Both, from the same start.
    Both,
}

/// Where to begin: a θ with its problem.
pub struct Start {
    /// The spec whose model, data and loss it is of.
    pub spec: Spec,
    /// The numbers as they are stored, by block.
    pub bytes: Vec<u8>,
    /// Where they come from.
    pub from: PathBuf,
    /// The run directory, where there is one.
    pub run: Option<PathBuf>,
}

impl Start {
    /// The θ of a run directory: at its end, else at its last checkpoint; at a level of loss that it keeps a snapshot of; or of a
    /// snapshot, checkpoint or file of weights within it.
    ///
    /// # Errors
    /// When nothing of the kind is there.
    pub fn of_run(path: &Path, at: Option<f64>) -> Result<Start, Error> {
        if path.is_file() {
            let above = path.parent().map(Path::to_owned).unwrap_or_default();
            let run = [Some(above.clone()), above.parent().map(Path::to_owned)]
                .into_iter()
                .flatten()
                .find(|dir| dir.join("spec.toml").is_file() && dir.join("rows.csv").is_file());
            let Some(run) = run else {
                return Err(Error::usage(format!(
                    "{} is in no run directory; say what it is of with --spec SPEC",
                    path.display()
                )));
            };
            return Start::read(read_spec(&run)?, path, Some(run));
        }
        if !path.is_dir() {
            return Err(Error::usage(format!("{} is neither a run directory nor a file", path.display())));
        }
        let spec = read_spec(path)?;
        if let Some(level) = at {
            let file = path.join(snapshot_name(level));
            if !file.is_file() {
                return Err(Error::usage(format!(
                    "{} has no snapshot at log10_loss = {level}; it has {}",
                    path.display(),
                    snapshots(path, &spec)
                )));
            }
            return Start::read(spec, &file, Some(path.to_owned()));
        }
        let file = path.join("theta.safetensors");
        if file.is_file() {
            return Start::read(spec, &file, Some(path.to_owned()));
        }
        match Store::last_checkpoint(path)? {
            Some(file) => Start::read(spec, &file, Some(path.to_owned())),
            None => Err(Error::usage(format!(
                "{} holds neither theta.safetensors nor a checkpoint: it is no run directory, or its run has not begun",
                path.display()
            ))),
        }
    }

    /// A file of weights, or a checkpoint, with the spec that it is of.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(spec: Spec, file: &Path, run: Option<PathBuf>) -> Result<Start, Error> {
        let bytes = fs::read(file).map_err(|e| Error::io(file, "read", e))?;
        Ok(Start { spec, bytes, from: file.to_owned(), run })
    }

    /// θ for a problem.
    ///
    /// # Errors
    /// When the file holds other numbers.
    pub fn theta(&self, problem: &Problem) -> Result<Vec<f64>, Error> {
        if let Ok((state, _)) = tensors::read_state(&self.bytes)
            && let Ok(theta) = state.part("iterate").get("theta")
        {
            return match theta.len() == problem.dim() {
                true => Ok(theta.to_vec()),
                false => Err(Error::content(format!(
                    "{}: θ has {} numbers, the model has {}",
                    self.from.display(),
                    theta.len(),
                    problem.dim()
                ))),
            };
        }
        tensors::theta_of(&self.bytes, &self.from, problem.model.as_ref())
    }
}

/// The levels of the snapshots of a run, for a message.
fn snapshots(dir: &Path, spec: &Spec) -> String {
    let kept = spec.keep.log10_loss.iter().filter(|level| dir.join(snapshot_name(**level)).is_file());
    let levels: Vec<String> = kept.map(|level| crate::store::number(*level)).collect();
    if levels.is_empty() { "none".into() } else { levels.join(", ") }
}

/// What is wanted of a search.
pub struct Wanted<'a> {
    /// Which way.
    pub method: Method,
    /// Relative residual that counts as a KKT point, and speed per unit of ln ρ that ends the flow.
    pub tolerance: f64,
    /// Seconds for each way.
    pub max_seconds: Option<f64>,
    /// Set from outside to end with what there is.
    pub stop: &'a AtomicBool,
    /// Told of every step: of which way, and what.
    pub watch: &'a mut dyn FnMut(&'static str, &Look),
}

/// What one way led to.
#[derive(Clone, Debug)]
pub struct Reached {
    /// `flow` or `short-cut`.
    pub way: &'static str,
    /// Where it ended.
    pub found: Found,
    /// Its certificate; none at kinks of networks of more than two layers.
    pub certificate: Option<Certificate>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether the residual is within the tolerance.
    pub is_limit: bool,
    /// Why not.
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Limit {
    /// One or two ways: the short cut comes first.
    pub reached: Vec<Reached>,
    /// ln ρ at the start.
    pub ln_rho: f64,
    /// The relative residual at the start, with the best Clarke subgradients.
    pub start: Option<Certificate>,
    /// Angle between the two ends, NaN with one.
    pub between: f64,
}

/// Looks for the limit that θ is heading for.
///
/// # Errors
/// Models that are not homogeneous, θ that do not separate the data.
pub fn find(problem: &Problem, theta: &[f64], wanted: Wanted<'_>) -> Result<Limit, Error> {
    if let degree @ (Degree::Near { .. } | Degree::None { .. }) = problem.model.degree() {
        return Err(Error::usage(format!(
            "the model is {degree}: its limit is one of the homogenization, and `limit` needs a homogeneous model"
        )));
    }
    let failed = |e: latephase_core::Breakdown| Error::usage(e);
    let fine = (1e-3 * wanted.tolerance).min(Way::short_cut().tolerance);
    let short_cut = ("short-cut", Way { tolerance: fine, ..Way::short_cut() });
    let flow = ("flow", Way { tolerance: wanted.tolerance, ..Way::flow() });
    let ways = match wanted.method {
        Method::Flow => vec![flow],
        Method::ShortCut => vec![short_cut],
        Method::Both => vec![short_cut, flow],
    };
    let mut reached = Vec::new();
    for (way, how) in ways {
        let begun = Instant::now();
        let found = follow(problem, theta, &how, &mut |look| {
            (wanted.watch)(way, look);
            let late = wanted.max_seconds.is_some_and(|most| begun.elapsed().as_secs_f64() > most);
            if late || wanted.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let Some(found) = found.map_err(failed)? else {
            return Err(Error::usage(
                "theta does not separate the training data: q_min is not above 0, and there is no margin to raise",
            ));
        };
        let seconds = begun.elapsed().as_secs_f64();
        let kink = (10.0 * found.residual).clamp(1e-9, 1e-6);
        let certificate = Certificate::at(problem, &found.theta, kink, true).map_err(failed)?;
        let residual = certificate.as_ref().map_or(found.residual, Certificate::relative).min(found.residual);
        let is_limit = residual <= wanted.tolerance;
        let why = why(&found, is_limit, wanted.stop.load(Ordering::Relaxed));
        reached.push(Reached { way, found, certificate, seconds, is_limit, why });
    }
    let between = match &reached[..] {
        [a, b] => angle(&a.found.theta, &b.found.theta),
        _ => f64::NAN,
    };
    let start = Certificate::at(problem, theta, 1e-6, false).map_err(failed)?;
    Ok(Limit { reached, ln_rho: norm(theta).ln(), start, between })
}

fn why(found: &Found, is_limit: bool, stopped: bool) -> String {
    match (is_limit, found.ending) {
        (true, _) => String::new(),
        (false, Ending::Stopped) if stopped => "it was interrupted".into(),
        (false, Ending::Stopped) => "the seconds ran out".into(),
        (false, Ending::Steps) => "the steps ran out".into(),
        (false, Ending::Stalled) => {
            "the steps shrank to nothing: kinks that the model of the margins does not know are in the way"
                .into()
        }
        (false, Ending::Converged) => "the certificate at the end is worse than the model's residual".into(),
    }
}

impl Limit {
    /// Whether every way that was taken ended within the tolerance.
    pub fn is_found(&self) -> bool {
        self.reached.iter().all(|r| r.is_limit)
    }

    /// The record.
    pub fn json(&self, spec: &Spec, from: &Path, tolerance: f64) -> Result<Value, Error> {
        Ok(json!({
            "spec": spec.hash8()?,
            "from": from.display().to_string(),
            "tolerance": tolerance,
            "start": {
                "ln_rho": self.ln_rho,
                "relative": self.start.as_ref().map(Certificate::relative),
                "support": self.start.as_ref().map(|c| c.support.len()),
            },
            "angle_between": number(self.between),
            "ways": self.reached.iter().map(Reached::json).collect::<Vec<_>>(),
        }))
    }

    /// Writes the record and the weights into a directory; where it is the run's own, onto its page too.
    ///
    /// # Errors
    /// When the device refuses it.
    pub fn write(&self, dir: &Path, record: &Value, start: &Start, problem: &Problem) -> Result<(), Error> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create", e))?;
        for (k, reached) in self.reached.iter().enumerate() {
            let mut theta = reached.found.theta.clone();
            scale(1.0 / norm(&theta), &mut theta);
            let stored = problem.model.export(&theta);
            let meta = json!({ "spec": record["spec"], "way": reached.way }).to_string();
            let bytes = tensors::theta_bytes(&stored, problem.model.stored(), &meta).map_err(Error::usage)?;
            let name = if k == 0 { "limit.safetensors" } else { "flow.safetensors" };
            write_whole(&dir.join(name), &bytes)?;
        }
        write_whole(&dir.join(FILE), &pretty(record))?;
        match &start.run {
            Some(run) if dir == run.join(DIR) && run.join("rows.csv").is_file() => {
                write_whole(&run.join("report.html"), page::of_run(run, problem)?.as_bytes())
            }
            _ => Ok(()),
        }
    }
}

fn number(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

impl Reached {
    fn json(&self) -> Value {
        let found = &self.found;
        let mut value = json!({
            "way": self.way,
            "is_limit": self.is_limit,
            "why": self.why,
            "ending": found.ending.name(),
            "steps": found.steps,
            "seconds": self.seconds,
            "residual": number(found.residual),
            "polished": found.is_polished,
            "angle": number(found.angle),
            "margin_before": number(found.margin_before),
            "margin": number(found.margin),
            "ln_rho_gained": number(found.ln_rho),
        });
        if let Some(c) = &self.certificate {
            value["epsilon"] = json!(c.fit.epsilon);
            value["delta"] = json!(c.fit.delta);
            value["relative"] = json!(c.relative());
            value["speed"] = json!(number(c.speed()));
            value["support"] = json!(c.support.len());
            value["kinks"] = json!(c.kinks);
            value["support_examples"] = json!(c.support.iter().map(|s| s.example).collect::<Vec<_>>());
            value["lambda"] = json!(c.lambda);
            if let Some(judged) = &c.judgement {
                value["verdict"] = json!(verdict(judged.verdict));
                value["curvature"] = json!(number(judged.curvature));
                value["ascent"] =
                    json!(judged.ascent.as_ref().map(|a| json!({ "gain": a.gain, "step": a.step })));
            }
        }
        value
    }
}

/// A verdict in words.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::StrictMaximum => "strict local maximum",
        Verdict::GlobalMaximum => "global maximum",
        Verdict::Saddle => "saddle",
        Verdict::Undecided => "undecided",
    }
}

/// What stands in a run's `limit/limit.json`; null where it has none.
pub fn read(run: &Path) -> Value {
    let text = fs::read_to_string(run.join(DIR).join(FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Label and value of what a record says, for a table.
pub fn table(record: &Value) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for way in record["ways"].as_array().into_iter().flatten() {
        let name = way["way"].as_str().unwrap_or_default().replace('-', " ");
        let of = |key: &str| way[key].as_f64().unwrap_or(f64::NAN);
        let small = |x: f64| if x.is_finite() { format!("{x:.1e}") } else { "-".to_owned() };
        let mut put = |label: &str, value: String| {
            if value != "-" && !value.is_empty() {
                rows.push((format!("limit by the {name}: {label}"), value));
            }
        };
        let end = way["ending"].as_str().unwrap_or_default().replace('-', " ");
        let why = way["why"].as_str().unwrap_or_default();
        put("end", if why.is_empty() { end } else { format!("not reached ({end}): {why}") });
        put("KKT epsilon", small(of("epsilon")));
        put("epsilon over the norm of theta", small(of("relative")));
        put("KKT delta", small(of("delta")));
        put("residual with the multipliers of the last step", small(of("residual")));
        put("speed of the direction per unit of ln rho", small(of("speed")));
        put("normalised margin before", plain(of("margin_before")));
        put("normalised margin", plain(of("margin")));
        put("angle moved, in radians", plain(of("angle")));
        put("ln rho gained", if way["way"] == "flow" { plain(of("ln_rho_gained")) } else { "-".into() });
        put("support vectors", plain(of("support")));
        put("kinks", plain(of("kinks")));
        let unknown = if of("relative").is_finite() { "not judged: more than 600 weights" } else { "" };
        put("second order", way["verdict"].as_str().unwrap_or(unknown).to_owned());
        let ascent = way["ascent"]["gain"].as_f64().unwrap_or(f64::NAN);
        put("rise of the margin by the ascent", small(ascent));
        put("steps", plain(of("steps")));
        put("seconds", format!("{:.2}", of("seconds")));
    }
    let between = record["angle_between"].as_f64().unwrap_or(f64::NAN);
    if between.is_finite() {
        rows.push(("angle between the two limits, in radians".into(), plain(between)));
    }
    rows
}
