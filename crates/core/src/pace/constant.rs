//! A constant learning rate: the plain gradient descent of the theory.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, positive};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, SOUDRY_2018};

/// θ ← θ − η‖∇𝓛‖⋆·d. The step shrinks with the loss: 10⁵ steps reach ln 𝓛 ≈ −10, and past ln 𝓛 ≈ −745 its length
/// underflows, which ends a run with the outcome *precision*.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The learning rate η on 𝓛.
    pub eta: f64,
}

impl Pace for Constant {
    fn length(&mut self, at: &StepView) -> f64 {
        (self.eta.ln() + at.ln_scale).exp()
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)
    }
}

impl Entry for Constant {
    const ABOUT: &'static str = "constant learning rate on the loss";
    const EXAMPLE: &'static str = "eta = 0.1";
    const CITE: &'static [Cite] = &[SOUDRY_2018];
}
