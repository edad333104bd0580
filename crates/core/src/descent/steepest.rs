//! Steepest descent in a norm: d = argmax { ⟨g, d⟩ : ‖d‖ ≤ 1 }.
//!
//! The plain rule with learning rate η moves by η‖∇𝓛‖⋆·d: gradient descent for l2, sign descent scaled by ‖∇𝓛‖₁ for
//! l∞, coordinate descent for l1 (Tsilivis et al. 2024, eq. 3).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Descent, Direction, Place, built, kernel_failed};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020, TSILIVIS_2024};
use crate::norm::{AnyNorm, Norm};
use crate::{Breakdown, Invalid, Layout};

/// Steepest descent in `norm`, `l2` (gradient descent) by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steepest {
    /// The geometry.
    #[serde(default)]
    pub norm: AnyNorm,
    #[serde(skip)]
    built: Option<Arc<dyn Norm>>,
}

impl Steepest {
    /// Steepest descent in a norm.
    pub fn new(norm: AnyNorm) -> Self {
        Steepest { norm, built: None }
    }

    fn built(&self) -> &dyn Norm {
        self.built.as_deref().expect("begin comes before direction")
    }
}

/// ‖∇𝓛‖⋆ = 𝓛·‖∇ ln 𝓛‖⋆, kept as a logarithm.
fn along(at: &Place<'_>, dual: f64) -> Direction {
    Direction { slope: dual, ln_scale: at.ln_loss + dual.ln() }
}

impl Descent for Steepest {
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid> {
        self.built = Some(built(&self.norm, layout)?);
        Ok(())
    }

    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        let dual = self.built().steepest(at.grad, at.layout, d);
        if dual.is_nan() {
            return Err(kernel_failed());
        }
        Ok(along(at, dual))
    }

    fn multiple(&mut self, at: &Place<'_>) -> Option<(Direction, f64)> {
        let (dual, factor) = self.built().multiple(at.grad)?;
        Some((along(at, dual), factor))
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
