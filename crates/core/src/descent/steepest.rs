//! Steepest descent in a norm: d = argmax { ⟨g, d⟩ : ‖d‖ ≤ 1 }.
//!
//! The plain rule with learning rate η moves by η‖∇𝓛‖⋆·d: gradient descent for l2, sign descent scaled by ‖∇𝓛‖₁ for
//! l∞, coordinate descent for l1 (Tsilivis et al. 2024, eq. 3).

use serde::{Deserialize, Serialize};

use super::{Descent, Direction};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020, TSILIVIS_2024};
use crate::norm::AnyNorm;
use crate::{Eval, Layout};

/// Steepest descent in `norm`, `l2` (gradient descent) by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steepest {
    /// The geometry.
    #[serde(default)]
    pub norm: AnyNorm,
}

impl Descent for Steepest {
    fn direction(&mut self, at: &Eval, layout: &Layout, d: &mut [f64]) -> Direction {
        let dual = self.norm.build().steepest(&at.grad, layout, d);
        // ‖∇𝓛‖⋆ = 𝓛·‖∇ ln 𝓛‖⋆, kept as a logarithm.
        Direction { slope: dual, ln_scale: at.ln_loss + dual.ln() }
    }

    fn norm(&self) -> AnyNorm {
        self.norm.clone()
    }
}

impl Entry for Steepest {
    const ABOUT: &'static str = "steepest descent in a norm";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, TSILIVIS_2024];
}
