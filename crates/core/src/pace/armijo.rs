//! Backtracking on ln 𝓛 with a sufficient decrease.
//!
//! A trial is accepted when ln 𝓛 falls by at least `sufficient` times what the slope predicts; otherwise the rate shrinks.
//! The first trial of a step is the last accepted rate, grown.
//!
//! **A falling loss is no evidence that the flow is followed.** From degree 2 on ln 𝓛 falls even along absurd steps,
//! because ‖θ‖ grows: this pace finds long steps and a small loss fast, and a direction that the flow need not have. To
//! follow the flow, use `unit-decrease`, which asks for agreement with the prediction and not only for a fall.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, Trial, positive};
use crate::catalogue::Entry;
use crate::cite::{ARMIJO_1966, Cite};
use crate::{Invalid, State};

/// θ ← θ − (r/𝓛)‖∇𝓛‖⋆·d with r found by backtracking on the step's rows. ln 𝓛 never rises; a point at which no rate that
/// changes θ lowers it ends the run as *chattering*.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armijo {
    /// The first rate tried, on ln 𝓛.
    pub eta: f64,
    /// Part of the predicted fall that has to be there, 1e-4 by default; between 0 and 1. Where ln 𝓛 is
    /// convex the fall never exceeds the prediction, and near 1 only short steps pass.
    #[serde(default = "ten_thousandth")]
    pub sufficient: f64,
    /// Factor on a refused rate, 0.5 by default; between 0 and 1.
    #[serde(default = "half")]
    pub shrink: f64,
    /// Factor on an accepted rate for the next step's first trial, 2 by default; 1 never tries a longer one.
    #[serde(default = "two")]
    pub grow: f64,
    /// The rate of the next trial, once it differs from the first.
    #[serde(skip)]
    rate: Option<f64>,
}

fn ten_thousandth() -> f64 {
    1e-4
}

fn half() -> f64 {
    0.5
}

fn two() -> f64 {
    2.0
}

impl Pace for Armijo {
    fn length(&mut self, at: &StepView) -> f64 {
        self.rate.unwrap_or(self.eta) * (at.ln_scale - at.ln_loss).exp()
    }

    fn judges(&self) -> bool {
        true
    }

    fn accept(&mut self, trial: &Trial) -> bool {
        let rate = self.rate.unwrap_or(self.eta);
        // A NaN is no fall; a fall of exactly 0 where less than rounding is predicted is none either.
        let enough = trial.actual >= self.sufficient * trial.predicted && trial.actual > 0.0;
        self.rate = Some(rate * if enough { self.grow } else { self.shrink });
        enough
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("rate", &[self.rate.unwrap_or(self.eta)]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.rate = Some(state.number("rate")?);
        Ok(())
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)?;
        for (name, part) in [("sufficient", self.sufficient), ("shrink", self.shrink)] {
            if !(part > 0.0 && part < 1.0) {
                return Err(Invalid::new(name, format!("{part} is not allowed; use a part between 0 and 1")));
            }
        }
        if !(self.grow >= 1.0 && self.grow.is_finite()) {
            return Err(Invalid::new(
                "grow",
                format!("{} is not allowed; use a factor of 1 or more", self.grow),
            ));
        }
        Ok(())
    }
}

impl Entry for Armijo {
    const ABOUT: &'static str = "backtracking on ln of the loss with sufficient decrease";
    const EXAMPLE: &'static str = "eta = 0.1";
    const CITE: &'static [Cite] = &[ARMIJO_1966];
}
