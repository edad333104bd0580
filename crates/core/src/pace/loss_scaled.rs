//! A learning rate of η/𝓛, constant on ∇ ln 𝓛, or decaying as η/(𝓛 (k+1)^a).
//!
//! With a = ½ these are the aggressive steps of Nacson et al. (2019): on separable data and a linear model the margin's
//! error falls like ln k/√k, where a constant rate on 𝓛 has 1/ln k.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, decay, positive};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020, NACSON_2019};

/// θ ← θ − η/(𝓛 (k+1)^a)·‖∇𝓛‖⋆·d, k the steps of the run so far. With a = 0 exact for linear models; from degree 2 on the step grows too long as ‖θ‖ grows, and β
/// collapses while the loss still falls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScaled {
    /// The learning rate η on ln 𝓛.
    pub eta: f64,
    /// The power a of the decay, 0 by default; at most 1, so that the rates have an infinite sum.
    #[serde(default)]
    pub a: f64,
}

impl Pace for LossScaled {
    fn length(&mut self, at: &StepView) -> f64 {
        let decay = if self.a == 0.0 { 1.0 } else { (at.step as f64 + 1.0).powf(self.a) };
        self.eta / decay * (at.ln_scale - at.ln_loss).exp()
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)?;
        decay("a", self.a, 1.0)
    }
}

impl Entry for LossScaled {
    const ABOUT: &'static str = "learning rate eta/loss, constant or decaying on ln of the loss";
    const EXAMPLE: &'static str = "eta = 0.01";
    const CITE: &'static [Cite] = &[LYU_LI_2020, NACSON_2019];
}
