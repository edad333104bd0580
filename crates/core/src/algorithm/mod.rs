//! Algorithms: what takes θ from one iterate to the next.

use std::fmt::Debug;
use std::sync::Arc;

use crate::cite::Cite;
use crate::norm::AnyNorm;
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

mod bundle;
mod flow;
mod implicit;
mod late;
mod prgd;
mod stepped;

pub use bundle::Bundle;
pub use flow::{Flow, Tableau};
pub use implicit::Implicit;
pub use prgd::Prgd;
pub use stepped::Stepped;

/// The direction an algorithm follows where it is not a single gradient, for probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// d = Σ λ_k g_k, an element of the Goldstein subdifferential of ln(1/𝓛).
    pub direction: Vec<f64>,
    /// Σ λ_k ∂ ln 𝓛/∂out at the members, n × k: what each example contributes to d.
    pub cotangent: Vec<f64>,
    /// Largest ‖u_k − u‖ over the members with positive λ.
    pub radius: f64,
    /// Members with positive λ.
    pub active: usize,
}

/// What a step was taken from, for probes that check per-step identities.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The step's rows.
    pub rows: RowSet,
    /// Loss and gradient there, before the step.
    pub eval: Arc<Eval>,
    /// ln of the learning rate on 𝓛: the step was e^{ln_rate} times what a rate of 1 does.
    pub ln_rate: f64,
}

/// From one iterate to the next.
pub trait Algorithm: Send + Debug {
    /// Checks the settings against the problem and allocates; called once, before the first step.
    ///
    /// # Errors
    /// Settings that make no sense for this problem.
    fn begin(&mut self, problem: &Problem, seed: u64) -> Result<(), Invalid>;
    /// Takes one step (or refuses one and learns from it).
    ///
    /// # Errors
    /// When it can go no further: the run then ends with an outcome.
    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown>;
    /// The aggregated direction at the current iterate, where there is one.
    fn field(&self) -> Option<&Field> {
        None
    }
    /// The algorithm's own estimate of the error of θ/‖θ‖ that its steps have added up to, in radians; NaN where it keeps none.
    fn direction_error(&self) -> f64 {
        f64::NAN
    }
    /// Whether steps are to be remembered for [`taken`](Algorithm::taken), as they are unless this says no: that keeps the
    /// gradient before a step.
    fn remember_steps(&mut self, _remember: bool) {}
    /// What the last step was taken from, where it was a single step along a gradient and is remembered.
    fn taken(&self) -> Option<&Taken> {
        None
    }
    /// Entry by entry, what multiplied the gradient in the last step ([`crate::descent::Descent::multiplier`]).
    fn multiplier(&self) -> Option<Vec<f64>> {
        None
    }
    /// The factor λ of a decoupled weight decay; 0 without one.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// Whether every step evaluates the full training set.
    fn is_full_batch(&self) -> bool {
        true
    }
    /// The norm whose steepest descent this is.
    fn norm(&self) -> AnyNorm;
    /// The works behind its parts: the descent, the pace, the norm.
    fn cites_of_parts(&self) -> Vec<Cite> {
        Vec::new()
    }
    /// Counts worth telling at the end: name and number.
    fn counts(&self) -> Vec<(&'static str, u64)>;
    /// Saves what must survive a checkpoint.
    fn save(&self) -> State;
    /// Loads it; [`Algorithm::begin`] has been called before.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    fn load(&mut self, state: &State) -> Result<(), Invalid>;
}

crate::catalogue! {
    /// The algorithm of a spec.
    pub AnyAlgorithm: Algorithm, "algorithm" {
        "stepped" => Stepped,
        "bundle" => Bundle,
        "implicit" => Implicit,
        "flow" => Flow,
        "prgd" => Prgd,
    }
}
