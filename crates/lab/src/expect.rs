//! What a recipe expects of its runs, and how it compares.

use std::fs;
use std::path::{Path, PathBuf};

use latephase_core::numeric::{distance, norm};
use serde::Deserialize;

use crate::compare::cosine;
use crate::error::Error;
use crate::findings::{Columns, largest_relative_decrease, separation};
use crate::measure_fit::{Band, Slope, peak};
use crate::stint::{read_manifest, read_spec, snapshot_name};
use crate::store::tensors::read_flat;
use crate::summary::plain;

/// One expected value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Short id.
    pub id: String,
    /// Where the value comes from.
    pub source: String,
    /// Label of the run; the first when absent.
    #[serde(default)]
    pub run: Option<String>,
    /// Label of the run that it is compared with; the value is then of the ratio, or of the pair.
    #[serde(default)]
    pub against: Option<String>,
    /// What is measured.
    pub measure: Measure,
    /// At this level of log10 loss; at the end when absent.
    #[serde(default)]
    pub at: Option<f64>,
    /// The expected value; none reports without judging.
    #[serde(default)]
    pub value: Option<Value>,
    /// How near it has to be.
    #[serde(default)]
    pub tolerance: Tolerance,
    /// Left out under `--quick`.
    #[serde(default)]
    pub full_only: bool,
}

/// What is measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Measure {
    /// A column; with `against`, its ratio to the other run's.
    Column(String),
    /// The last value of a column over its first one.
    Trend(String),
    /// Largest relative decrease of a column between looks after separation.
    Decrease(String),
    /// The largest value of a column.
    Peak(String),
    /// The slope of one column against another at the end.
    Slope(Slope),
    /// Largest over least value of a column at the end.
    Band(Band),
    /// Cosine between the two runs' θ at the level.
    Cosine(Both),
    /// ‖θ̂ − ŵ‖ at the end of a linear model's run, w the exact maximum-margin direction: that which the data source knows, or
    /// a list of numbers.
    DirectionError(Exact),
}

/// The marker of a measure of two runs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Both {
    /// θ at a kept level.
    Theta,
}

/// An exact direction.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Exact {
    /// What the data source knows.
    Known(Truth),
    /// A vector along it.
    Along(Vec<f64>),
}

/// The marker of what the data source knows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// The exact answer.
    Truth,
}

/// A number, or the name of one that the data source knows exactly.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// `margin_l1`, `margin_l2`, `margin_linf` or `margin_global/2`.
    Truth(String),
}

/// How near a value has to be; nothing set judges nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// |ours/expected − 1| at most this.
    pub relative: Option<f64>,
    /// ours at most expected times this.
    pub at_most: Option<f64>,
    /// ours at least expected times this.
    pub at_least: Option<f64>,
}

/// Expected against found.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Short id.
    pub id: String,
    /// Where the expected value comes from.
    pub source: String,
    /// The expected value, as text.
    pub paper: String,
    /// Ours, as text.
    pub ours: String,
    /// ours/expected, as text.
    pub ratio: String,
    /// Whether it held; none where nothing is judged or ours is not known.
    pub held: Option<bool>,
}

/// Compares one expectation with the runs.
///
/// # Errors
/// When a run's files cannot be read, or the recipe names a run that it does not have.
pub fn compare(expect: &Expect, dirs: &[(String, PathBuf)]) -> Result<Compared, Error> {
    let find = |label: &Option<String>| match label {
        None => dirs.first().map(|(_, d)| d.as_path()),
        Some(l) => dirs.iter().find(|(have, _)| have == l).map(|(_, d)| d.as_path()),
    };
    let missing = || Error::usage(format!("{}: the recipe has no such run", expect.id));
    let dir = find(&expect.run).ok_or_else(missing)?;
    let other = match &expect.against {
        None => None,
        label => Some(find(label).ok_or_else(missing)?),
    };
    let ours = measure(expect, dir, other)?;
    let value = match &expect.value {
        None => f64::NAN,
        Some(Value::Number(v)) => *v,
        Some(Value::Truth(name)) => truth(dir, name)?,
    };
    let t = &expect.tolerance;
    let judged = [
        t.relative.map(|r| (ours / value - 1.0).abs() <= r),
        t.at_most.map(|f| ours <= value * f),
        t.at_least.map(|f| ours >= value * f),
    ];
    let judged: Vec<bool> = judged.into_iter().flatten().collect();
    let held =
        (!judged.is_empty() && ours.is_finite() && value.is_finite()).then(|| judged.iter().all(|h| *h));
    let bound = match (t.at_most, t.at_least) {
        (Some(f), None) => format!("<= {}", plain(value * f)),
        (None, Some(f)) => format!(">= {}", plain(value * f)),
        _ => plain(value),
    };
    Ok(Compared {
        id: expect.id.clone(),
        source: expect.source.clone(),
        paper: if value.is_nan() { "-".into() } else { bound },
        ours: plain(ours),
        ratio: plain(ours / value),
        held,
    })
}

fn measure(expect: &Expect, dir: &Path, other: Option<&Path>) -> Result<f64, Error> {
    let columns = Columns::read(dir)?;
    let at = |columns: &Columns, name: &str| match expect.at {
        Some(level) => columns.at_level(name, level),
        None => columns.last(name),
    };
    Ok(match &expect.measure {
        Measure::Column(name) => {
            let ours = at(&columns, name);
            match other {
                Some(other) => ours / at(&Columns::read(other)?, name),
                None => ours,
            }
        }
        Measure::Trend(name) => {
            let known: Vec<f64> = columns.get(name).iter().copied().filter(|v| v.is_finite()).collect();
            match (known.first(), known.last()) {
                (Some(first), Some(last)) => last / first,
                _ => f64::NAN,
            }
        }
        Measure::Decrease(name) => separation(&columns, &read_spec(dir)?)
            .map_or(f64::NAN, |from| largest_relative_decrease(columns.get(name), from)),
        Measure::Peak(name) => peak(&columns, name),
        Measure::Slope(slope) => slope.of(&columns),
        Measure::Band(band) => band.of(&columns),
        Measure::Cosine(Both::Theta) => {
            let Some(other) = other else { return Ok(f64::NAN) };
            let file = expect.at.map_or("theta.safetensors".to_owned(), snapshot_name);
            let (ours, theirs) = (dir.join(&file), other.join(&file));
            // A level that one of the runs never reached has no θ.
            if ours.exists() && theirs.exists() { cosine(&ours, &theirs)? } else { f64::NAN }
        }
        Measure::DirectionError(exact) => direction_error(dir, exact)?,
    })
}

/// ‖θ̂ − ŵ‖ for the exact direction w of the recipe or the manifest.
fn direction_error(dir: &Path, exact: &Exact) -> Result<f64, Error> {
    let mut exact = match exact {
        Exact::Along(w) => w.clone(),
        Exact::Known(Truth::Truth) => {
            let manifest = read_manifest(dir)?.unwrap_or_default();
            let list = manifest["data"]["truth"]["direction"].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|v| v.as_f64()).collect::<Vec<_>>()
        }
    };
    let size = norm(&exact);
    exact.iter_mut().for_each(|w| *w /= size);
    let path = dir.join("theta.safetensors");
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
    let mut theta = read_flat(&bytes).map_err(|text| Error::usage(format!("{}: {text}", path.display())))?;
    if exact.len() != theta.len() {
        return Ok(f64::NAN);
    }
    let rho = norm(&theta);
    theta.iter_mut().for_each(|t| *t /= rho);
    Ok(distance(&theta, &exact))
}

fn truth(dir: &Path, name: &str) -> Result<f64, Error> {
    let manifest = read_manifest(dir)?.unwrap_or_default();
    let known = &manifest["data"]["truth"];
    let value = match name {
        "margin_global/2" => known["margin_global"].as_f64().map(|g| g / 2.0),
        name => known[name].as_f64(),
    };
    value.ok_or_else(|| Error::usage(format!("the data source does not know `{name}`")))
}
