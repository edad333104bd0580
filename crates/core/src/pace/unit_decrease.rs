//! Steps whose predicted fall of ln 𝓛 is η, whatever ‖θ‖ is.
//!
//! h·slope = η. In the clock of ∇ ln 𝓛 the Hessian is of order ‖θ‖^{2(L−1)}, and so is the slope: this is the stable
//! step of gradient flow with no constant to choose.
//!
//! Where pieces of ln 𝓛 meet as a ridge, a step shorter than the distance to the ridge agrees with its prediction and a
//! longer one does not: refusing every disagreement would approach the ridge for ever and never cross it (Zeno). Below a
//! floor a step is therefore taken whatever it does; such steps chatter across the ridge and follow the sliding flow on
//! average.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, Trial, positive};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::{Invalid, State};

/// Predicted fall η, halved while the actual fall disagrees with the predicted one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitDecrease {
    /// Predicted fall of ln 𝓛 in a step, 0.02 by default; η = 1 does not follow the flow.
    #[serde(default = "two_hundredths")]
    pub eta: f64,
    /// A trial is refused when actual/predicted falls outside [1/`factor`, `factor`]; 3 by default. At ReLU kinks the
    /// usable η settles where this test puts it. Infinity switches the test off.
    #[serde(default = "three")]
    pub factor: f64,
    /// Smallest part of η: a step that short is kept even if it disagrees. 1/16 by default.
    #[serde(default = "sixteenth")]
    pub floor: f64,
    /// Part of η in use: halved by a refusal, raised by 2^{1/4} with every accepted step, at most 1.
    #[serde(skip, default = "one")]
    part: f64,
}

fn two_hundredths() -> f64 {
    0.02
}

fn three() -> f64 {
    3.0
}

fn sixteenth() -> f64 {
    0.0625
}

fn one() -> f64 {
    1.0
}

impl UnitDecrease {
    /// Predicted fall `eta` in a step, refused when it disagrees with the actual one by more than `factor`.
    pub fn new(eta: f64, factor: f64) -> Self {
        UnitDecrease { eta, factor, floor: sixteenth(), part: 1.0 }
    }
}

impl Pace for UnitDecrease {
    fn length(&mut self, at: &StepView) -> f64 {
        self.eta * self.part / at.slope
    }

    fn judges(&self) -> bool {
        self.factor.is_finite()
    }

    fn accept(&mut self, trial: &Trial) -> bool {
        let ratio = trial.actual / trial.predicted;
        let agrees = ratio >= 1.0 / self.factor && ratio <= self.factor;
        if agrees {
            self.part = (self.part * 2f64.powf(0.25)).min(1.0);
            return true;
        }
        if self.part <= self.floor && trial.actual.is_finite() {
            return true;
        }
        // A trial that diverged is halved without end; otherwise the floor is where it stops.
        let half = self.part * 0.5;
        self.part = if trial.actual.is_finite() { half.max(self.floor) } else { half };
        false
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("part", &[self.part]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.part = state.number("part")?;
        Ok(())
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("eta", self.eta)?;
        if !(self.factor > 1.0) {
            let text = format!("{} is not allowed; use a number above 1, or inf", self.factor);
            return Err(Invalid::new("factor", text));
        }
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            let text = format!("{} is not allowed; use a part of eta between 0 and 1", self.floor);
            return Err(Invalid::new("floor", text));
        }
        Ok(())
    }
}

impl Entry for UnitDecrease {
    const ABOUT: &'static str = "predicted fall of ln of the loss is eta, with a halving check";
    const EXAMPLE: &'static str = "eta = 0.02";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
