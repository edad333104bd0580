//! Steps of length c/t^a along d, whatever the loss is.
//!
//! For unit directions (`steepest`, and sign or spectral descent with it) this is the length in the descent's norm:
//! normalised steepest descent with a decaying schedule of infinite sum, the setting of Gronich & Vardi (2026) on
//! homogeneous networks.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, decay, positive};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, GRONICH_VARDI_2026};

/// θ ← θ − c/t^a·d with t = 1 at the first step of the run; d is as the descent gives it, so that a momentum whose d is
/// shorter than 1 takes a shorter step. ‖θ‖ grows at most like Σ c/t^a, so that at a = ½ ln(1/𝓛) grows at most like t^{L/2}.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalized {
    /// The length c of the first step.
    pub c: f64,
    /// The power a of the decay, 0.5 by default; between 0 (steps of constant length) and 1, so that Σ t^{−a} is
    /// infinite and ‖θ‖ can grow for ever.
    #[serde(default = "half")]
    pub a: f64,
}

fn half() -> f64 {
    0.5
}

impl Pace for Normalized {
    fn length(&mut self, at: &StepView) -> f64 {
        self.c / (at.step as f64 + 1.0).powf(self.a)
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("c", self.c)?;
        decay("a", self.a, 1.0)
    }
}

impl Entry for Normalized {
    const ABOUT: &'static str = "length c/t^a along the direction, whatever the loss is";
    const EXAMPLE: &'static str = "c = 0.1";
    const CITE: &'static [Cite] = &[GRONICH_VARDI_2026];
}
