//! Descents: where to go.

use std::fmt::Debug;

use crate::norm::{AnyNorm, Blockwise, Combine, Spectral};
use crate::{Breakdown, Frame, Invalid, Layout, State};

mod adagrad;
mod adam;
mod buffer;
mod far;
mod lion;
mod memory;
mod momentum;
mod muon;
mod normalized;
mod orthogonalize;
mod rmsprop;
mod settings;
mod shampoo;
mod side;
mod steepest;
mod sweep;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use lion::Lion;
pub use momentum::Momentum;
pub use muon::{Muon, Scale};
pub use normalized::{Coordinate, Normalized, Sign, Signum};
pub use orthogonalize::{AnyOrthogonalize, NewtonSchulz, Orthogonalize, Svd};
pub use rmsprop::Rmsprop;
pub use shampoo::{Shampoo, Vectors};
pub use steepest::Steepest;

/// Where a step starts.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// θ.
    pub theta: &'a [f64],
    /// ∇ ln 𝓛 on the step's rows; the true gradient is 𝓛 times this.
    pub grad: &'a [f64],
    /// ln 𝓛 of the step's rows, in the loss's reduction.
    pub ln_loss: f64,
    /// 𝓛 as a factor and a power of two, for what is added up over steps. Moving every frame of a run by the same power of
    /// two multiplies all true gradients by it and changes no bit of a scale-free descent.
    pub frame: Frame,
    /// The blocks of θ.
    pub layout: &'a Layout,
}

impl<'a> Place<'a> {
    /// A place with the frame of its loss.
    pub fn new(theta: &'a [f64], grad: &'a [f64], ln_loss: f64, layout: &'a Layout) -> Self {
        Place { theta, grad, ln_loss, frame: Frame::of(ln_loss), layout }
    }
}

/// A direction d to move against, θ ← θ − h·d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    /// ⟨∇ ln 𝓛, d⟩: the fall of ln 𝓛 per unit of length. Never negative for `steepest`; momentum may have it so.
    pub slope: f64,
    /// A learning rate of 1 moves by e^{ln_scale}·d.
    pub ln_scale: f64,
}

/// Where to go. It may remember; what it remembers of true gradients it keeps in [`Frame`]s.
pub trait Descent: Send + Sync + Debug {
    /// Checks the settings against the blocks and allocates; called once, before the first step.
    ///
    /// # Errors
    /// Settings that make no sense, or not for these blocks.
    fn begin(&mut self, layout: &Layout) -> Result<(), Invalid>;
    /// Writes the direction, and takes the gradient into memory: called once a step.
    ///
    /// # Errors
    /// When a matrix kernel fails.
    fn direction(&mut self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown>;
    /// The direction where it is c·∇ ln 𝓛 to the last bit of what [`direction`](Descent::direction) would write, and c. Called
    /// once a step, in its place.
    fn multiple(&mut self, _at: &Place<'_>) -> Option<(Direction, f64)> {
        None
    }
    /// The norm whose steepest descent this is, or tends to; its margin is the algorithm's own.
    fn norm(&self) -> AnyNorm;
    /// The factor λ of a decoupled weight decay θ ← θ − η λ θ; 0 without one.
    fn weight_decay(&self) -> f64 {
        0.0
    }
    /// Entry by entry, what multiplies the gradient in the last step, up to a common factor: the largest is 1. None where
    /// the step is no such product.
    fn multiplier(&self) -> Option<Vec<f64>> {
        None
    }
    /// Saves what must survive a checkpoint.
    fn save(&self) -> State {
        State::default()
    }
    /// Loads it; [`Descent::begin`] has been called before.
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
        "momentum" => Momentum,
        "normalized" => Normalized,
        "sign" => Sign,
        "signum" => Signum,
        "coordinate" => Coordinate,
        "adam" => Adam,
        "rmsprop" => Rmsprop,
        "adagrad" => Adagrad,
        "lion" => Lion,
        "shampoo" => Shampoo,
        "muon" => Muon,
    }
}

impl Default for AnyDescent {
    fn default() -> Self {
        Steepest::default().into()
    }
}

/// A norm built and checked, for a descent's `begin`.
pub(crate) fn built(
    norm: &AnyNorm,
    layout: &Layout,
) -> Result<std::sync::Arc<dyn crate::norm::Norm>, Invalid> {
    let built = norm.build();
    built.check(layout).map_err(|e| match e.field.as_str() {
        "" => Invalid::new("norm", e.message),
        field => Invalid::new(format!("norm.{field}"), e.message),
    })?;
    Ok(built.into())
}

/// The norm that matrix methods descend in: the largest singular value of the matrices, `vectors` of the other blocks, and
/// the largest of all these.
pub(crate) fn spectral_mix(vectors: &AnyNorm) -> AnyNorm {
    let mix = Blockwise::new(Combine::Max, Spectral {}.into());
    Blockwise { vectors: Box::new(vectors.clone()), ..mix }.into()
}

/// What a descent says when a norm's matrix kernel gave no answer.
pub(crate) fn kernel_failed() -> Breakdown {
    Breakdown::Failed { what: "the singular value decomposition of a gradient did not converge".into() }
}
