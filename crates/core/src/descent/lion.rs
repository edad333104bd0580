//! Lion: the sign of a mean that looks further ahead than it remembers.
//!
//! Δ = sign(β₁m + (1 − β₁)G), then m ← β₂m + (1 − β₂)G; θ ← θ − η(Δ + λθ).
//!
//! # Properties
//! Scale-free: shifting the run's losses by a power of two changes no bit. β₁ = 0 is sign descent; β₁ = β₂ is `signum`.
//!
//! # References
//! Chen et al. 2023, Algorithm 2.

use serde::{Deserialize, Serialize};

use super::far::Far;
use super::memory::Memory;
use super::settings::{finite, fraction, nine_tenths, ninety_nine_hundredths, not_negative};
use super::sweep::{Part, Real, Rule, sweep};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{CHEN_2023, Cite};
use crate::norm::{AnyNorm, Linf};
use crate::{Breakdown, Invalid, Layout, State, numeric};

/// Lion, with decoupled weight decay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lion {
    /// β₁: the weight of the memory in the step, 0.9 by default.
    #[serde(default = "nine_tenths")]
    pub beta1: f64,
    /// β₂: what a step keeps of the memory, 0.99 by default.
    #[serde(default = "ninety_nine_hundredths")]
    pub beta2: f64,
    /// λ of the decoupled decay θ ← θ − ηλθ, 0 by default.
    #[serde(default)]
    pub weight_decay: f64,
    #[serde(skip)]
    mean: Memory,
    #[serde(skip)]
    ahead: Memory,
}

/// m and what the sign is taken of.
struct Ahead {
    weight: f64,
    kept: f64,
}

impl Rule<2> for Ahead {
    #[inline(always)]
    fn step<R: Real>(&self, g: R, _: R, [m, _]: [R; 2], _: R) -> [R; 2] {
        let mix = |kept: f64| m.scale(kept).add(g.scale(1.0 - kept));
        [mix(self.kept), mix(self.weight)]
    }
}

impl Descent for Lion {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        fraction("beta1", self.beta1)?;
        fraction("beta2", self.beta2)?;
        not_negative("weight_decay", self.weight_decay)?;
        self.mean = Memory::new(layout.dim());
        self.ahead = self.mean.clone();
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        finite(at)?;
        let rule = Ahead { weight: self.beta1, kept: self.beta2 };
        let mean = Part { memory: &mut self.mean, degree: 1, fresh: false };
        sweep(&rule, at, Far::NULL, [mean, Part { memory: &mut self.ahead, degree: 1, fresh: true }]);
        self.ahead.signs(d);
        numeric::axpy(self.weight_decay, at.theta, d);
        Ok(Direction { slope: numeric::dot(at.grad, d), ln_scale: 0.0 })
    }

    fn norm(&self) -> AnyNorm {
        Linf {}.into()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn save(&self) -> State {
        let mut state = State::default();
        self.mean.save(&mut state, "mean");
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.mean.load(state, "mean")
    }
}

impl Entry for Lion {
    const ABOUT: &'static str = "Lion: the sign of a mean that looks ahead, with weight decay";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CHEN_2023];
}
