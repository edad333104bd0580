//! Paces: how far to go.

use std::fmt::Debug;

use crate::{Invalid, State};

mod armijo;
mod constant;
mod edge;
mod loss_scaled;
mod lyu_li;
mod normalized;
mod polynomial_decay;
mod unit_decrease;

pub use armijo::Armijo;
pub use constant::Constant;
pub use edge::Edge;
pub use loss_scaled::LossScaled;
pub use lyu_li::LyuLi;
pub use normalized::Normalized;
pub use polynomial_decay::PolynomialDecay;
pub use unit_decrease::UnitDecrease;

/// What a pace may look at before a step.
#[derive(Clone, Copy, Debug)]
pub struct StepView {
    /// ln 𝓛 of the step's rows, in the loss's reduction.
    pub ln_loss: f64,
    /// ln 𝓛 of the full training set, where it was last evaluated.
    pub ln_loss_full: f64,
    /// ⟨∇ ln 𝓛, d⟩.
    pub slope: f64,
    /// A rate of 1 moves by e^{ln_scale}·d.
    pub ln_scale: f64,
    /// Accepted steps of the run so far, the clock of decaying paces: a later phase of a run goes on counting, and steps
    /// of an epoch that was taken back do not count.
    pub step: u64,
}

/// A step that was tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// h·slope, the first-order fall of ln 𝓛.
    pub predicted: f64,
    /// The fall of ln 𝓛 on the step's rows.
    pub actual: f64,
}

/// What to do with a finished epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Keep it.
    Keep,
    /// Restore the state at its start and do it again with new batches.
    GoBack,
    /// Give up: no rate works any more.
    GiveUp,
}

/// How far to go.
pub trait Pace: Send + Sync + Debug {
    /// The length h along d.
    fn length(&mut self, at: &StepView) -> f64;
    /// Whether [`Pace::accept`] has something to say, so that the trial must be evaluated on its rows.
    fn judges(&self) -> bool {
        false
    }
    /// Whether to keep a trial; if not, [`Pace::length`] is asked again at the same point.
    fn accept(&mut self, _trial: &Trial) -> bool {
        true
    }
    /// Whether [`Pace::epoch_end`] has something to say.
    fn judges_epochs(&self) -> bool {
        false
    }
    /// What to do with an epoch that took ln 𝓛 of the full set from `before` to `after` (NaN if it diverged).
    fn epoch_end(&mut self, _before: f64, _after: f64) -> Verdict {
        Verdict::Keep
    }
    /// Counts worth telling at the end: name and number.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    /// Saves what must survive a checkpoint.
    fn save(&self) -> State {
        State::default()
    }
    /// Loads it.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    fn load(&mut self, _state: &State) -> Result<(), Invalid> {
        Ok(())
    }
    /// Checks the settings.
    ///
    /// # Errors
    /// A rate that is not positive, a factor outside its range.
    fn check(&self) -> Result<(), Invalid>;
}

crate::catalogue! {
    /// The pace of a spec.
    pub AnyPace: Pace, "pace" {
        "constant" => Constant,
        "loss-scaled" => LossScaled,
        "unit-decrease" => UnitDecrease,
        "lyu-li" => LyuLi,
        "normalized" => Normalized,
        "polynomial-decay" => PolynomialDecay,
        "armijo" => Armijo,
        "edge" => Edge,
    }
}

/// Checks that a setting is a positive finite number.
pub(crate) fn positive(field: &str, value: f64) -> Result<(), Invalid> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is not allowed; use a positive number")))
}

/// Checks a power of decay: 0 or more, and at most `most`.
pub(crate) fn decay(field: &str, value: f64, most: f64) -> Result<(), Invalid> {
    if value >= 0.0 && value <= most && value.is_finite() {
        return Ok(());
    }
    let allowed =
        if most.is_finite() { format!("a number between 0 and {most}") } else { "0 or more".into() };
    Err(Invalid::new(field, format!("{value} is not allowed; use {allowed}")))
}
