//! Descents: where to go.

use std::fmt::Debug;

use crate::{Eval, Invalid, Layout, State};

mod steepest;

pub use steepest::Steepest;

/// A direction d to move against, θ ← θ − h·d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    /// ⟨∇ ln 𝓛, d⟩: the fall of ln 𝓛 per unit of length. Never negative for `steepest`.
    pub slope: f64,
    /// A learning rate of 1 moves by e^{ln_scale}·d.
    pub ln_scale: f64,
}

/// Where to go.
pub trait Descent: Send + Sync + Debug {
    /// Writes the direction at an evaluation.
    fn direction(&mut self, at: &Eval, layout: &Layout, d: &mut [f64]) -> Direction;
    /// The norm whose steepest descent this is, or tends to; its margin is the algorithm's own.
    fn norm(&self) -> crate::norm::AnyNorm;
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
}

crate::catalogue! {
    /// The descent of a spec.
    pub AnyDescent: Descent, "descent" {
        "steepest" => Steepest,
    }
}

impl Default for AnyDescent {
    fn default() -> Self {
        Steepest::default().into()
    }
}
