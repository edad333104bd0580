//! What the flows that go to the far end have in common: settings, the shortest step, and the end of a step on all clocks.

use std::sync::Arc;

use crate::numeric::ln_mean_exp;
use crate::{Breakdown, Eval, Invalid, Iterate, RowSet};

/// F from which the temperature is held where that is not given: weights are then known to about 1e-5.
pub(super) const HOLD: f64 = 1e10;

/// Shortest relative step, ‖Δθ‖/ρ: ten times the spacing of f64.
const FLOOR: f64 = 2e-15;

/// Refuses a tolerance beside a fixed κ.
pub(super) fn one_of(tolerance: Option<f64>, kappa: Option<f64>) -> Result<(), Invalid> {
    match (tolerance, kappa) {
        (Some(_), Some(_)) => {
            let text = "kappa fixes the step and tolerance chooses it; give one of them";
            Err(Invalid::new("tolerance", text))
        }
        _ => Ok(()),
    }
}

/// F from which the temperature is held.
pub(super) fn hold(given: Option<f64>) -> Result<f64, Invalid> {
    match given {
        Some(hold) if !(hold > 0.0) => {
            Err(Invalid::new("hold", format!("{hold} is not allowed; use a positive number, or inf")))
        }
        _ => Ok(given.unwrap_or(HOLD)),
    }
}

/// Refuses a step of `size`·‖θ‖ that f64 does not resolve.
pub(super) fn resolved(size: f64, steps: &str) -> Result<(), Breakdown> {
    if size < FLOOR {
        let what =
            format!("{steps} shrank to {size:.1e} of the norm of theta; f64 cannot resolve shorter ones");
        return Err(Breakdown::Precision { what });
    }
    Ok(())
}

/// A step of the flow that is taken.
pub(super) struct Stride {
    /// ln 𝓛 where it began, at the radius at which θ is held.
    pub ln_loss: f64,
    /// Its length on the clock of ∇ ln 𝓛 there.
    pub h: f64,
    /// What ρ has grown by beyond the θ that it ended at.
    pub grown: f64,
    pub degree: f64,
}

/// Moves to θ, where `to` has been evaluated, and lets the clocks run on. Hands back where it was.
pub(super) fn arrive(at: &mut Iterate, theta: Vec<f64>, to: Arc<Eval>, stride: &Stride) -> Vec<f64> {
    let Stride { ln_loss, h, grown, degree } = *stride;
    // dt = ds/𝓛, and ln 𝓛 falls nearly linearly over a step.
    let before = at.ln_loss_beyond(ln_loss, Some(degree));
    // A step of κρ takes less time where d is longer, by the power of the degree.
    let shorter = (2.0 - degree) * at.beyond;
    at.beyond += grown.ln();
    let after = at.ln_loss_beyond(to.ln_loss, Some(degree));
    let ln_dt = h.ln() + shorter + ln_mean_exp(-before, -after);
    let left = at.move_to(theta, Some((&RowSet::Full, to)));
    at.clocks.advance(h * shorter.exp(), ln_dt);
    at.clocks.epoch += 1;
    left
}
