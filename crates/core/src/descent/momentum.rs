//! Steepest descent with momentum: heavy ball and Nesterov's form, in any norm.
//!
//! B ← βB + (1 − τ)G for the true gradient G = ∇𝓛, the first B being G; θ ← θ − η‖V‖⋆·argmax{⟨V, d⟩ : ‖d‖ ≤ 1} with V = B,
//! or V = G + βB for `nesterov`. In l2 that is θ ← θ − ηV: the `SGD` of PyTorch, step for step. In another norm it is the
//! steepest step of that norm, along the buffer in place of the gradient.
//!
//! # Accuracy
//! B is exact over any range of the loss (rounded once an operation, never under- or overflowing).
//!
//! # References
//! Polyak 1964; Sutskever et al. 2013 for Nesterov's form as it is used here.

use serde::{Deserialize, Serialize};

use super::buffer::{Buffer, Rule};
use super::settings::{fraction, nine_tenths};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{Cite, POLYAK_1964, SUTSKEVER_2013};
use crate::norm::AnyNorm;
use crate::{Breakdown, Invalid, Layout, State};

/// Steepest descent along a buffer of gradients, scaled by the buffer's dual norm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Momentum {
    /// The geometry; `l2` by default.
    #[serde(default)]
    pub norm: AnyNorm,
    /// β: what a step keeps of the buffer, 0.9 by default; 0 is `steepest`.
    #[serde(default = "nine_tenths")]
    pub beta: f64,
    /// τ: what a new gradient loses, 0 by default. τ = β makes the buffer a mean.
    #[serde(default)]
    pub dampening: f64,
    /// Look ahead: G + βB in place of B. Not with dampening.
    #[serde(default)]
    pub nesterov: bool,
    #[serde(skip)]
    buffer: Buffer,
}

impl Momentum {
    fn rule(&self) -> Rule {
        Rule { beta: self.beta, dampening: self.dampening, nesterov: self.nesterov }
    }
}

impl Descent for Momentum {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        fraction("beta", self.beta)?;
        fraction("dampening", self.dampening)?;
        if self.nesterov && (self.beta == 0.0 || self.dampening != 0.0) {
            let text = "true needs a beta above 0 and no dampening; set dampening = 0, or nesterov = false";
            return Err(Invalid::new("nesterov", text));
        }
        self.buffer = Buffer::begin(&self.norm, self.rule(), layout)?;
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        let along = self.buffer.steepest(at, self.rule(), d)?;
        Ok(Direction { slope: along.slope, ln_scale: along.ln_dual })
    }

    fn norm(&self) -> AnyNorm {
        self.norm.clone()
    }

    fn save(&self) -> State {
        self.buffer.save()
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.buffer.load(state)
    }
}

impl Entry for Momentum {
    const ABOUT: &'static str = "heavy-ball or Nesterov momentum, in a norm";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[POLYAK_1964, SUTSKEVER_2013];
}
