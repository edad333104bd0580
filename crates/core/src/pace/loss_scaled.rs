//! A learning rate of η/𝓛: constant on ∇ ln 𝓛.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, positive};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};

/// θ ← θ − (η/𝓛)‖∇𝓛‖⋆·d. Exact for linear models; from degree 2 on the step grows too long as ‖θ‖ grows, and β
/// collapses while the loss still falls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScaled {
    /// The learning rate η on ln 𝓛.
    pub eta: f64,
}

impl Pace for LossScaled {
    fn length(&mut self, at: &StepView) -> f64 {
        self.eta * (at.ln_scale - at.ln_loss).exp()
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)
    }
}

impl Entry for LossScaled {
    const ABOUT: &'static str = "learning rate eta/loss, constant on ln of the loss";
    const EXAMPLE: &'static str = "eta = 0.01";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
