//! Normalised steepest descent: a learning rate of 1 is a step of length 1, whatever the loss.
//!
//! d = argmax{⟨V, d⟩ : ‖d‖ ≤ 1}; V is the gradient, or a momentum of it: V = B or G + μB with B ← μB + G from B = 0. A
//! running mean B ← μB + (1 − μ)G has the same directions in both forms, all of it being 1 − μ times that, so there is no
//! choice between the two to make. `sign`, `signum` and `coordinate` are this in l∞ and l1.
//!
//! # Properties
//! Without momentum d(cg) = d(g) to the last bit: it reads ∇ ln 𝓛 alone. With momentum a shift of the run's losses by a
//! power of two changes no bit.
//!
//! # References
//! Tsilivis et al. 2024, section 2 ("normalised" steepest descent); Bernstein et al. 2018 for signum.

use serde::{Deserialize, Serialize};

use super::buffer::{Buffer, Rule};
use super::settings::{fraction, nine_tenths};
use super::{Descent, Direction, Place};
use crate::catalogue::Entry;
use crate::cite::{BERNSTEIN_2018, Cite, TSILIVIS_2024};
use crate::norm::{AnyNorm, L1, Linf};
use crate::{Breakdown, Invalid, Layout, State};

/// The unit steepest direction of `norm`, with or without momentum.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalized {
    /// The geometry; `l2` by default.
    #[serde(default)]
    pub norm: AnyNorm,
    /// μ: what a step keeps of the buffer; 0, no memory, by default.
    #[serde(default)]
    pub momentum: f64,
    /// Look ahead: G + μB in place of B.
    #[serde(default)]
    pub nesterov: bool,
    #[serde(skip)]
    buffer: Buffer,
}

/// The sign of the gradient: `normalized` in l∞.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    #[serde(skip)]
    buffer: Buffer,
}

/// The sign of a momentum: `normalized` in l∞ with memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signum {
    /// β: what a step keeps of the momentum, 0.9 by default; 0 is `sign`.
    #[serde(default = "nine_tenths")]
    pub beta: f64,
    #[serde(skip)]
    buffer: Buffer,
}

/// One coordinate at a time, that of the largest gradient: `normalized` in l1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    #[serde(skip)]
    buffer: Buffer,
}

/// Implements `Descent` for a struct with a `buffer`, its norm and its rule.
macro_rules! unit_steps {
    ($ty:ident, $norm:expr, $rule:expr, $check:expr) => {
        impl Descent for $ty {
            fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
                let check: fn(&Self) -> Result<(), Invalid> = $check;
                check(self)?;
                let rule: fn(&Self) -> Rule = $rule;
                self.buffer = Buffer::begin(&self.norm(), rule(self), layout)?;
                Ok(())
            }

            fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
                let rule: fn(&Self) -> Rule = $rule;
                let along = self.buffer.steepest(at, rule(self), d)?;
                Ok(Direction { slope: along.slope, ln_scale: 0.0 })
            }

            fn norm(&self) -> AnyNorm {
                let norm: fn(&Self) -> AnyNorm = $norm;
                norm(self)
            }

            fn save(&self) -> State {
                self.buffer.save()
            }

            fn load(&mut self, state: &State) -> Result<(), Invalid> {
                self.buffer.load(state)
            }
        }
    };
}

unit_steps!(
    Normalized,
    |own| own.norm.clone(),
    |own| Rule { beta: own.momentum, dampening: 0.0, nesterov: own.nesterov },
    |own| {
        fraction("momentum", own.momentum)?;
        if own.nesterov && own.momentum == 0.0 {
            let text = "true needs a momentum above 0; set momentum, or nesterov = false";
            return Err(Invalid::new("nesterov", text));
        }
        Ok(())
    }
);
unit_steps!(Sign, |_| Linf {}.into(), |_| Rule::default(), |_| Ok(()));
unit_steps!(Signum, |_| Linf {}.into(), |own| Rule { beta: own.beta, ..Rule::default() }, |own| fraction(
    "beta", own.beta
));
unit_steps!(Coordinate, |_| L1 {}.into(), |_| Rule::default(), |_| Ok(()));

impl Entry for Normalized {
    const ABOUT: &'static str = "unit steps of steepest descent in a norm, with or without momentum";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}

impl Entry for Sign {
    const ABOUT: &'static str = "sign of the gradient (normalized, linf)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[BERNSTEIN_2018, TSILIVIS_2024];
}

impl Entry for Signum {
    const ABOUT: &'static str = "sign of a momentum (normalized, linf)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[BERNSTEIN_2018];
}

impl Entry for Coordinate {
    const ABOUT: &'static str = "the coordinate of the largest gradient (normalized, l1)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}
