//! Steps whose predicted fall of ln 𝓛 is η, whatever ‖θ‖ is.
//!
//! h·slope = η. In the clock of ∇ ln 𝓛 the Hessian is of order ‖θ‖^{2(L−1)}, and so is the slope: this is the stable
//! step of gradient flow with no constant to choose.

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

fn one() -> f64 {
    1.0
}

impl UnitDecrease {
    /// Predicted fall `eta` in a step, refused when it disagrees with the actual one by more than `factor`.
    pub fn new(eta: f64, factor: f64) -> Self {
        UnitDecrease { eta, factor, part: 1.0 }
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
        } else {
            self.part *= 0.5;
        }
        agrees
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
        if self.factor > 1.0 {
            return Ok(());
        }
        Err(Invalid::new("factor", format!("{} is not allowed; use a number above 1, or inf", self.factor)))
    }
}

impl Entry for UnitDecrease {
    const ABOUT: &'static str = "predicted fall of ln of the loss is eta, with a halving check";
    const EXAMPLE: &'static str = "eta = 0.02";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
