//! A learning rate on 𝓛 that decays like a power of the step.
//!
//! Schechtman & Schreuder (2025, Theorem 20) allow deterministic steps that are bounded with Σγ_k = ∞, and for
//! mini-batches Σγ_k^{1+q/2} < ∞ besides for some q ≥ 2.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, decay, positive};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, SCHECHTMAN_2025};

/// θ ← θ − γ_k‖∇𝓛‖⋆·d with γ_k = η·(offset/(offset + k))^a, k the steps of the run so far. Like every rate on 𝓛, its
/// steps shrink with the loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolynomialDecay {
    /// The first learning rate η on 𝓛.
    pub eta: f64,
    /// The power a of the decay, 0 or more; beyond 1 the rates have a finite sum, and nothing is proved of the limit.
    pub a: f64,
    /// Steps before the decay sets in, 1 by default: γ_k is η/2^a at k = offset.
    #[serde(default = "one")]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

impl Pace for PolynomialDecay {
    fn length(&mut self, at: &StepView) -> f64 {
        let part = self.offset / (self.offset + at.step as f64);
        (self.eta.ln() + self.a * part.ln() + at.ln_scale).exp()
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)?;
        decay("a", self.a, f64::INFINITY)?;
        positive("offset", self.offset)
    }
}

impl Entry for PolynomialDecay {
    const ABOUT: &'static str = "learning rate on the loss that decays like a power of the step";
    const EXAMPLE: &'static str = "eta = 0.1\na = 0.5";
    const CITE: &'static [Cite] = &[SCHECHTMAN_2025];
}
