//! Exact optima with certificates: what a run is compared with.
//!
//! A maximal margin is the value of a convex problem max_{‖θ‖≤1} min_n ⟨a_n, θ⟩ (or of several), and its dual is
//! min_{λ∈simplex} ‖Σ λ_n a_n‖⋆. Every function here returns both a solution and multipliers; [`Optimum::gap`] is what a
//! check from the data alone makes of the two, never what a solver says of itself.
//!
//! | problem | function | how |
//! |---|---|---|
//! | linear, ℓ2 (Frobenius) | [`max_margin`] | shortest vector of the hull of the a_n, over a growing set of them |
//! | linear, ℓ1 and ℓ∞ | [`max_margin`] | linear programmes (Clarabel), then the equations of the active set |
//! | linear, ℓp | [`max_margin`] | Newton's method on the dual |
//! | linear, spectral and nuclear | [`max_margin`] | proximal points, each by a semismooth Newton method |
//! | a Gram matrix | [`kernel::max_margin`] | as ℓ2, from inner products alone |
//! | tangent features of a two-layer ReLU network | [`tangent`] | the Gram matrix; a cone programme for one ball a neuron |
//! | any two-layer ReLU network | [`two_layer`] | column generation with exact pricing over activation patterns |
//! | no θ separates | [`Failure::NotSeparable`] | the certificate of Farkas, polished on its support |
//!
//! [`verify`] makes bounds from any solution and multipliers, with its own roundings taken off.

mod constraints;
mod equations;
mod farkas;
mod geometry;
mod hull;
pub mod kernel;
mod linear;
mod polyhedral;
mod proximal;
mod smooth;
mod verify;
mod working;

pub use constraints::{Constraint, Constraints};
pub use geometry::Geometry;
pub use linear::max_margin;
pub use verify::verify;

pub mod tangent;
pub mod two_layer;

/// A maximal margin, the point that attains it and the multipliers that bound it.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// θ of norm 1 (in the norm that was asked for).
    pub solution: Vec<f64>,
    /// The least margin of `solution`, recomputed from the data: a lower bound of the maximum.
    pub value: f64,
    /// λ ≥ 0 with Σ λ = 1, one for each constraint.
    pub dual: Vec<f64>,
    /// An upper bound of the maximum, recomputed from `dual` and the data.
    pub bound: f64,
}

impl Optimum {
    /// The relative gap (bound − value)/bound: the maximum is known to within it.
    pub fn gap(&self) -> f64 {
        (self.bound - self.value) / self.bound
    }
}

/// Why there is no maximal margin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No θ has a positive margin on every example.
    #[error("not separable: non-negative weights on {} examples make their signed features cancel to {residual:.1e} of their size", support(.weights))]
    NotSeparable {
        /// The certificate of Farkas: λ ≥ 0 with Σ λ = 1, one for each constraint, and Σ λ_n a_n = 0 up to `residual`.
        weights: Vec<f64>,
        /// ‖Σ λ_n a_n‖⋆ over Σ λ_n ‖a_n‖⋆.
        residual: f64,
    },
    /// The solver stopped short; the message says where.
    #[error("{0}")]
    Stalled(String),
    /// What was asked for makes no sense for these data.
    #[error(transparent)]
    Invalid(#[from] crate::Invalid),
}

fn support(weights: &[f64]) -> usize {
    weights.iter().filter(|w| **w > 0.0).count()
}
