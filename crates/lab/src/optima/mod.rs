//! Reference optima: what a run's margins are held against. One file and one line in [`LIST`] add a reference.
//!
//! A [`Reference`] says for which specs it knows something, which columns of the record it bounds, and computes the bounds in
//! the unit of the column: a maximal margin of the data, translated to the model's degree and norm. It may know both sides, one
//! side, or a value that a local optimum attains; a reference about a limit point takes θ of the run ([`Setting::theta`]).
//!
//! ```
//! use latephase_lab::optima::{Setting, answers};
//! use latephase_lab::{Spec, build::build, source::Lookup};
//! let text = r#"
//! data = "four-points"
//! model = { kind = "deep-linear", widths = [2] }
//! loss = "logistic"
//! algorithm = { kind = "flow", norm = "l2" }
//! stop = { log10_loss = -100 }
//! "#;
//! let spec = Spec::parse(text, "spec.toml", &[])?;
//! let built = build(&spec, &Lookup::from_env())?;
//! let setting = Setting::of(&spec, &built.run.problem);
//! let all = answers(&setting, &|_, column| column == "margin");
//! // Two layers of a linear network share the norm: half of the linear margin 3/√2.
//! let bounds = all[0].result.as_ref().unwrap();
//! assert!((bounds.value - 1.060660171779821).abs() < 1e-9 && bounds.gap() < 1e-9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Instant;

use latephase_core::Problem;
use latephase_core::exact::{Constraints, Failure, Optimum};
use latephase_core::norm::{AnyNorm, L1, L2, Linf};
use latephase_core::probe::AnyProbe;

use crate::spec::Spec;

pub mod ask;
mod deep_linear;
mod diagonal;
mod linear;
mod parity;
pub mod record;
mod tangent;
mod two_layer;

/// Every reference, in the order in which they are shown.
pub const LIST: &[&dyn Reference] = &[
    &linear::Linear,
    &deep_linear::DeepLinear,
    &diagonal::Diagonal,
    &two_layer::TwoLayer,
    &parity::Parity,
    &tangent::Tangent,
];

/// The names of the references, in order.
pub fn names() -> Vec<&'static str> {
    LIST.iter().map(|r| r.name()).collect()
}

/// What a reference sees.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Model, loss and data as built.
    pub problem: &'a Problem,
    /// The norms whose margins are asked for.
    pub norms: Vec<AnyNorm>,
    /// θ₀, for references about the start.
    pub start: Option<&'a [f64]>,
    /// θ at the end of a run, for references about the limit; none before a run.
    pub theta: Option<&'a [f64]>,
}

impl<'a> Setting<'a> {
    /// The norms that a run of this spec measures margins in: ℓ2, ℓ1, ℓ∞, those of its algorithms and of its margin probe.
    pub fn of(spec: &'a Spec, problem: &'a Problem) -> Setting<'a> {
        let probes = spec.probes.iter().filter_map(|p| match p {
            AnyProbe::Margin(margin) => Some(margin.norms.clone()),
            _ => None,
        });
        let own = spec.algorithm.iter().map(|phase| phase.algorithm.build().norm());
        let all = [L2 {}.into(), L1 {}.into(), Linf {}.into()];
        let mut norms: Vec<AnyNorm> = Vec::new();
        for norm in all.into_iter().chain(own).chain(probes.flatten()) {
            if norms.iter().all(|known| column(known) != column(&norm)) {
                norms.push(norm);
            }
        }
        Setting { spec, problem, norms, start: None, theta: None }
    }

    /// The norm that a margin column divides by; ℓ2 for the product margin.
    pub fn norm(&self, name: &str) -> Option<&AnyNorm> {
        self.norms.iter().find(|norm| column(norm) == name)
    }

    /// The columns of the norms that fit the model's blocks.
    pub fn columns(&self) -> Vec<String> {
        let layout = self.problem.model.layout();
        self.norms.iter().filter(|n| n.build().check(layout).is_ok()).map(column).collect()
    }
}

/// The margin column that divides by a norm.
pub fn column(norm: &AnyNorm) -> String {
    match norm.build().column().as_str() {
        "l2" => "margin".to_owned(),
        other => format!("margin_{other}"),
    }
}

/// Someone who knows an optimum.
pub trait Reference: Sync {
    /// Its name, kebab-case.
    fn name(&self) -> &'static str;

    /// What it knows, in a line.
    fn about(&self) -> &'static str;

    /// Whether it knows anything here.
    ///
    /// # Errors
    /// Why not, as the end of a sentence.
    fn applies(&self, setting: &Setting<'_>) -> Result<(), String>;

    /// The columns that it bounds, where it applies.
    fn columns(&self, setting: &Setting<'_>) -> Vec<String>;

    /// The bounds of one of its columns.
    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known;
}

/// What a reference knows of a column.
#[derive(Clone, Debug)]
pub struct Known {
    /// Of what the value is an optimum.
    pub scope: Scope,
    /// How the exact problem translates into the column, for people: `gamma_2/2`.
    pub unit: String,
    /// The bounds, or why there are none.
    pub result: Result<Bounds, Failure>,
    /// The constraints with a multiplier: of the optimum, or of the certificate that nothing separates.
    pub weights: Vec<Weight>,
}

/// Of what a value is the optimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of all θ: value and bound enclose the maximum.
    Global,
    /// Of a neighbourhood: the value is attained, the bound (if any) holds for all θ, and the two need not meet.
    Local,
}

impl Scope {
    /// `global` or `local`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Global => "global",
            Scope::Local => "local",
        }
    }
}

/// A margin that some θ attains, and one that none exceeds, both in the unit of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Attained; NaN where no θ is known.
    pub value: f64,
    /// Not exceeded by any θ; ∞ where nothing is known.
    pub bound: f64,
}

impl Bounds {
    /// (bound − value)/bound; NaN where one of them is not known.
    pub fn gap(&self) -> f64 {
        if self.bound.is_finite() { (self.bound - self.value) / self.bound } else { f64::NAN }
    }

    /// How far below the bound a margin of a run is, relative to it; of the value where there is no bound.
    pub fn distance(&self, margin: f64) -> f64 {
        let top = if self.bound.is_finite() { self.bound } else { self.value };
        (top - margin) / top
    }
}

/// A constraint that carries weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// Index of the example in the training set.
    pub example: usize,
    /// The wrong class, where there are several outputs.
    pub rival: Option<usize>,
    /// The multiplier; all of them sum to 1.
    pub weight: f64,
}

impl Known {
    /// An optimum of the constraints of a linear model, `factor` times which is the column.
    pub fn from_optimum(
        a: &Constraints<'_>,
        found: Result<Optimum, Failure>,
        factor: f64,
        unit: impl Into<String>,
    ) -> Known {
        let weights = match &found {
            Ok(optimum) => weights(a, &optimum.dual),
            Err(Failure::NotSeparable { weights: w, .. }) => weights(a, w),
            Err(_) => Vec::new(),
        };
        let result = found.map(|o| Bounds { value: factor * o.value, bound: factor * o.bound });
        Known { scope: Scope::Global, unit: unit.into(), result, weights }
    }
}

fn weights(a: &Constraints<'_>, dual: &[f64]) -> Vec<Weight> {
    let carrying = a.list().iter().zip(dual).filter(|(_, w)| **w > 0.0);
    carrying.map(|(c, w)| Weight { example: c.example, rival: c.wrong, weight: *w }).collect()
}

/// A reference's answer about a column.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The reference.
    pub reference: &'static str,
    /// The column.
    pub column: String,
    /// What the value is an optimum of.
    pub scope: Scope,
    /// How the exact problem translates into the column.
    pub unit: String,
    /// The bounds, or why there are none.
    pub result: Result<Bounds, Failure>,
    /// The constraints with a multiplier.
    pub weights: Vec<Weight>,
    /// What it took.
    pub seconds: f64,
}

/// Asks every reference that applies about the columns that `wanted(reference, column)` names.
pub fn answers(setting: &Setting<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Vec<Answer> {
    let mut all = Vec::new();
    for reference in LIST.iter().filter(|r| r.applies(setting).is_ok()) {
        for column in reference.columns(setting) {
            if !wanted(reference.name(), &column) {
                continue;
            }
            let started = Instant::now();
            let Known { scope, unit, result, weights } = reference.compute(setting, &column);
            let seconds = started.elapsed().as_secs_f64();
            all.push(Answer { reference: reference.name(), column, scope, unit, result, weights, seconds });
        }
    }
    all
}

/// The constraints of the data for a linear model with the problem's outputs.
fn constraints<'a>(setting: &Setting<'a>, constant: bool) -> Result<Constraints<'a>, Failure> {
    Ok(Constraints::of(&setting.problem.train, setting.problem.model.outputs(), constant)?)
}

/// No answer, for this reason.
fn without(unit: &str, failure: Failure) -> Known {
    Known { scope: Scope::Global, unit: unit.to_owned(), result: Err(failure), weights: Vec::new() }
}
