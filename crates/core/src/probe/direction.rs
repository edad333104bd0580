//! How far and how fast the direction θ/‖θ‖ moves.
//!
//! The direction's clock is ln ρ, not the loss: a run has converged when its speed per unit of ln ρ is small, whatever
//! the loss is. For ℓ2 flow ‖dθ̂/d ln ρ‖ = √(β⁻² − 1).

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot, StepRecord};
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020, LYU_LI_2020};
use crate::numeric::{distance, norm, scaled_distance};
use crate::{Invalid, State};

/// `direction_path` = Σ‖Δθ̂‖ over all steps, `direction_chord` = ‖θ̂ − θ̂₀‖ with θ̂₀ at the last look, and
/// `direction_speed` = `direction_chord`/|Δ ln ρ| between looks (NaN at the first look). The path counts back and forth;
/// the speed does not. `direction_error` is the algorithm's own account of the error that its steps have added to θ̂ (NaN where
/// it keeps none).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Direction")]
pub struct DirectionProbe {
    #[serde(skip)]
    path: f64,
    /// θ̂ and ln ρ at the last look.
    #[serde(skip)]
    last: Option<(Vec<f64>, f64)>,
}

impl Probe for DirectionProbe {
    fn begin(&mut self, _context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        Ok(["direction_path", "direction_chord", "direction_speed", "direction_error"]
            .map(String::from)
            .to_vec())
    }

    fn follows_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &StepRecord<'_>) {
        let (a, b) = (norm(step.before), norm(step.after));
        self.path += scaled_distance(1.0 / a, step.before, 1.0 / b, step.after);
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let unit: Vec<f64> = at.theta.iter().map(|t| t / at.rho).collect();
        let ln_rho = at.rho.ln() + at.beyond;
        let (chord, speed) = match &self.last {
            Some((last, ln_last)) => {
                let chord = distance(last, &unit);
                (chord, chord / (ln_rho - ln_last).abs())
            }
            None => (f64::NAN, f64::NAN),
        };
        row.put("direction_path", self.path);
        row.put("direction_chord", chord);
        row.put("direction_speed", speed);
        row.put("direction_error", at.direction_error);
        self.last = Some((unit, ln_rho));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("path", &[self.path]);
        if let Some((unit, ln_rho)) = &self.last {
            state.put("unit", unit);
            state.put("ln_rho", &[*ln_rho]);
        }
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.path = state.number("path")?;
        self.last = match state.get("unit") {
            Ok(unit) => Some((unit.to_vec(), state.number("ln_rho")?)),
            Err(_) => None,
        };
        Ok(())
    }
}

impl Entry for DirectionProbe {
    const ABOUT: &'static str = "length and speed of the path of theta/|theta|";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JI_TELGARSKY_2020, LYU_LI_2020];
}
