//! The loss-based learning rate of Lyu & Li (2020, App. K.1), judged epoch by epoch.
//!
//! η = α/𝓛̄ with 𝓛̄ the loss of the last full evaluation. An epoch that lowers the full training loss is kept and α
//! grows by 2^{1/5}; otherwise α shrinks by 2^{1/10}, θ is restored and the epoch done again with a new permutation.

use serde::{Deserialize, Serialize};

use super::{Pace, StepView, Verdict, positive};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::{Invalid, State};

/// The loss-based rate, with the paper's constants by default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LyuLi {
    /// α at the start, 0.1 by default.
    #[serde(default = "tenth")]
    pub alpha: f64,
    /// Growth of α after a kept epoch, 2^{1/5} by default.
    #[serde(default = "up")]
    pub grow: f64,
    /// Shrinkage of α after a refused epoch, 2^{1/10} by default.
    #[serde(default = "down")]
    pub shrink: f64,
    /// α in use, once it differs from the initial one.
    #[serde(skip)]
    current: Option<f64>,
}

fn tenth() -> f64 {
    0.1
}

fn up() -> f64 {
    2f64.powf(0.2)
}

fn down() -> f64 {
    2f64.powf(0.1)
}

/// Below this the authors' code gives up.
const SMALLEST: f64 = 1e-50;

impl Pace for LyuLi {
    fn length(&mut self, at: &StepView) -> f64 {
        self.current.unwrap_or(self.alpha) * (at.ln_scale - at.ln_loss_full).exp()
    }

    fn judges_epochs(&self) -> bool {
        true
    }

    fn epoch_end(&mut self, before: f64, after: f64) -> Verdict {
        let alpha = self.current.unwrap_or(self.alpha);
        if after < before {
            self.current = Some(alpha * self.grow);
            return Verdict::Keep;
        }
        self.current = Some(alpha / self.shrink);
        if alpha / self.shrink < SMALLEST { Verdict::GiveUp } else { Verdict::GoBack }
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("alpha", &[self.current.unwrap_or(self.alpha)]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.current = Some(state.number("alpha")?);
        Ok(())
    }

    fn check(&self) -> Result<(), Invalid> {
        positive("alpha", self.alpha)?;
        for (name, factor) in [("grow", self.grow), ("shrink", self.shrink)] {
            if !(factor > 1.0 && factor.is_finite()) {
                return Err(Invalid::new(name, format!("{factor} is not allowed; use a factor above 1")));
            }
        }
        Ok(())
    }
}

impl Entry for LyuLi {
    const ABOUT: &'static str = "loss-based rate alpha/loss with go-back, per epoch";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
