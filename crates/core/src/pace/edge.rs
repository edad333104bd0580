//! A large constant learning rate on 𝓛, and the step from which it is stable.
//!
//! Gradient descent on logistic regression converges at any constant rate: first the loss may rise and fall, then,
//! once 𝓛 is of the order 1/η, it falls for good (Wu et al. 2024; their constant is not one that this pace claims).

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, positive};
use crate::catalogue::Entry;
use crate::cite::{Cite, WU_2024};
use crate::{Invalid, State};

/// θ ← θ − η‖∇𝓛‖⋆·d, as `constant`, with a detector: the count `stable_phase_from_step` is the first step of the run at
/// which 𝓛 is at most c/η and from which on it has never risen. A later rise resets it. 𝓛 is that of the step's rows in
/// the spec's reduction (Wu et al. have the mean): with mini-batches the loss of successive steps is of different rows and
/// the count says little.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The learning rate η on 𝓛.
    pub eta: f64,
    /// The constant c of the stable phase, 1 by default.
    #[serde(default = "one")]
    pub c: f64,
    /// ln 𝓛 at the last step.
    #[serde(skip)]
    last: Option<f64>,
    #[serde(skip)]
    stable_from: Option<u64>,
}

fn one() -> f64 {
    1.0
}

impl Edge {
    fn see(&mut self, ln_loss: f64, step: u64) {
        // What four roundings of ln 𝓛 can do is no rise.
        let rounding = 4.0 * f64::EPSILON * ln_loss.abs().max(1.0);
        if self.last.is_some_and(|last| !(ln_loss <= last + rounding)) {
            self.stable_from = None;
        }
        if self.stable_from.is_none() && ln_loss <= self.c.ln() - self.eta.ln() {
            self.stable_from = Some(step);
        }
        self.last = Some(ln_loss);
    }
}

impl Pace for Edge {
    fn length(&mut self, at: &StepView) -> f64 {
        self.see(at.ln_loss, at.step);
        (self.eta.ln() + at.ln_scale).exp()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.stable_from.map(|step| ("stable_phase_from_step", step)).into_iter().collect()
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("last", self.last.as_slice());
        state.put_counts("stable_from", self.stable_from.as_slice());
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.last = state.get("last")?.first().copied();
        self.stable_from = state.counts("stable_from")?.first().copied();
        Ok(())
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)?;
        positive("c", self.c)
    }
}

impl Entry for Edge {
    const ABOUT: &'static str = "large constant learning rate, and the step from which it is stable";
    const EXAMPLE: &'static str = "eta = 10.0";
    const CITE: &'static [Cite] = &[WU_2024];
}
