//! The direction that raises every piece at once, in any geometry: max over ‖y‖ ≤ 1 of min_k (c_k + ⟨g_k, y⟩).
//!
//! The dual is min over the simplex of ‖Σλ_k g_k‖⋆ + cᵀλ, and both have one value. In ℓ2 y is the shortest vector of the hull
//! over its length, and [`quadratic::MinNorm`](crate::quadratic::MinNorm) finds it from inner products alone. In other norms
//! the least ‖v‖⋆ makes entries (or singular values) of v = Σλ_k g_k tie, the steepest direction of v has several answers, and
//! most of them leave some pieces flat: y has to be found beside λ.
//!
//! # Method
//! Proximal points (Rockafellar): from w the next y maximises min_k (c_k + ⟨g_k, y⟩) − ‖y − w‖₂²/2τ over the ball. The dual of
//! that over the simplex,
//!
//! ψ(λ) = cᵀλ + max_{‖y‖≤1} ⟨v, y⟩ − ‖y − w‖²/2τ,  is attained at  y(λ) = P(w + τv),
//!
//! P the projection on the ball, is convex and smooth with ∂ψ/∂λ_k = c_k + ⟨g_k, y⟩ and ∂²ψ/∂λ_k∂λ_l = τ⟨g_k, P'g_l⟩,
//! piecewise. A step of Newton's method over the simplex is a quadratic programme for `MinNorm`, whose support then takes steps
//! of its own by the equations. P' has few coordinates: those strictly within the box in ℓ∞, the support of y in ℓ1. So a step
//! costs two passes over the pieces, and the rest is of their number alone: the length of a step is found along the line of v.
//! τ grows while Newton's method ends in a few steps and shrinks where it does not; on a piecewise linear problem the proximal
//! points then end after a few, at the optimum. Where the norm is smooth (ℓp) no w is needed, and the same iteration is Newton's
//! method on ‖v‖⋆ + cᵀλ.
//!
//! Every answer has its certificate: value and bound are made from y and λ alone, and the optimum is between them.
//!
//! # References
//! R. T. Rockafellar, *Monotone operators and the proximal point algorithm*, SIAM J. Control and Optimization 14 (1976);
//! X. Zhao, D. Sun, K.-C. Toh, *A Newton-CG augmented Lagrangian method for semidefinite programming*, SIAM J. Optimization 20
//! (2010)

use std::fmt::Debug;
use std::sync::Arc;

use crate::norm::AnyNorm;
use crate::numeric::{axpy, dot};
use crate::{Invalid, Layout};

mod ball;
mod blocks;
mod entries;
mod matrices;
mod power;
mod programme;

pub(crate) use ball::Ball;
pub(crate) use matrices::Matrix;
use programme::Programme;

/// The slopes g_k, in whatever form they are kept.
pub trait Pieces: Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Numbers in each.
    fn dim(&self) -> usize;
    /// Entry `j` of g_k.
    fn entry(&self, k: usize, j: usize) -> f64;
    /// Writes the entries of g_k from `from` on, as many as `out` has.
    fn copy(&self, k: usize, from: usize, out: &mut [f64]);
    /// Writes ⟨g_k, x⟩ for all k.
    fn inner(&self, x: &[f64], out: &mut [f64]) {
        let mut row = vec![0.0; self.dim()];
        for (k, out) in out.iter_mut().enumerate() {
            self.copy(k, 0, &mut row);
            *out = dot(&row, x);
        }
    }
    /// Writes Σ weights_k g_k.
    fn combine(&self, weights: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut row = vec![0.0; self.dim()];
        for (k, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            self.copy(k, 0, &mut row);
            axpy(*weight, &row, out);
        }
    }
}

/// Slopes as the rows of a table, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    data: &'a [f64],
    dim: usize,
}

impl<'a> Table<'a> {
    /// Rows of `dim` numbers each.
    ///
    /// # Panics
    /// When the numbers are not whole rows.
    pub fn new(data: &'a [f64], dim: usize) -> Self {
        assert!(dim > 0 && data.len().is_multiple_of(dim), "{} numbers in rows of {dim}", data.len());
        Table { data, dim }
    }

    fn row(&self, k: usize) -> &'a [f64] {
        &self.data[k * self.dim..(k + 1) * self.dim]
    }
}

impl Pieces for Table<'_> {
    fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn inner(&self, x: &[f64], out: &mut [f64]) {
        out.iter_mut().enumerate().for_each(|(k, out)| *out = dot(self.row(k), x));
    }

    fn combine(&self, weights: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let weighted = weights.iter().enumerate().filter(|(_, w)| **w != 0.0);
        weighted.for_each(|(k, w)| axpy(*w, self.row(k), out));
    }

    fn entry(&self, k: usize, j: usize) -> f64 {
        self.row(k)[j]
    }

    fn copy(&self, k: usize, from: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.row(k)[from..from + out.len()]);
    }
}

/// When to stop, and how the proximal steps grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Relative gap that is good enough.
    pub closed: f64,
    /// Slopes of ψ within this part of the last gap end a proximal step.
    pub inexact: f64,
    /// τ at the first proximal step, in units in which a usual entry of v (or singular value) moves y from 0 to its bound; its
    /// growth from step to step, and where it ends: beyond, the quadratic programmes lose to rounding what the outer steps gain.
    pub first: f64,
    pub growth: f64,
    pub last: f64,
}

impl Settings {
    /// To rounding.
    pub const EXACT: Settings = Settings { closed: 1e-12, inexact: 1e-3, first: 1.0, growth: 2.0, last: 1e4 };
    /// The fewest passes on bundles of ReLU networks.
    const QUICK: Settings = Settings { closed: 1e-12, inexact: 0.1, first: 10.0, growth: 4.0, last: 1e4 };
}

/// The solver with its unit ball, and the direction it found last, from which it starts.
///
/// # Examples
/// In ℓ1 the shortest combination of (1, 0) and (0, 1) is (½, ½); a steepest direction of it, (1, 0), leaves the second piece
/// flat, and the saddle's raises both:
/// ```
/// use latephase_core::Layout;
/// use latephase_core::norm::L1;
/// use latephase_core::saddle::{Saddle, Table};
/// let mut saddle = Saddle::new(&L1 {}.into(), &Layout::vector(2), 1e-12)?;
/// let found = saddle.solve(&Table::new(&[1.0, 0.0, 0.0, 1.0], 2), &[0.0, 0.0], &[]).expect("finite numbers");
/// assert!((found.value - 0.5).abs() < 1e-12 && found.gap() < 1e-12);
/// saddle.direction().iter().for_each(|y| assert!((y - 0.5).abs() < 1e-12));
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct Saddle {
    ball: Arc<dyn Ball>,
    settings: Settings,
    direction: Vec<f64>,
}

/// Weights, and the certificate of them and of [`Saddle::direction`].
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// λ in the simplex.
    pub lambda: Vec<f64>,
    /// ⟨g_k, y⟩.
    pub inner: Vec<f64>,
    /// min_k (c_k + ⟨g_k, y⟩): a lower bound of the optimum, ‖y‖ ≤ 1.
    pub value: f64,
    /// ‖Σλ_k g_k‖⋆ + cᵀλ: an upper bound.
    pub bound: f64,
    /// ‖Σλ_k g_k‖⋆.
    pub dual_norm: f64,
    /// Steps of Newton's method.
    pub steps: usize,
    /// Projections on the ball: passes over a vector like θ, or a decomposition.
    pub responses: usize,
    /// Passes over the pieces.
    pub passes: usize,
}

impl Answer {
    /// The relative gap (bound − value)/bound.
    pub fn gap(&self) -> f64 {
        (self.bound - self.value) / self.bound
    }
}

impl Saddle {
    /// A solver in a norm over these blocks that ends at a relative gap of `closed`, or where f64 ends.
    ///
    /// # Errors
    /// A norm that does not fit the blocks, or one that has no solver.
    pub fn new(norm: &AnyNorm, layout: &Layout, closed: f64) -> Result<Self, Invalid> {
        let ball = ball::of(norm, layout)?;
        Ok(Saddle::with(ball, Settings { closed, ..Settings::QUICK }))
    }

    pub(crate) fn with(ball: Box<dyn Ball>, settings: Settings) -> Self {
        let ball: Arc<dyn Ball> = ball.into();
        let direction = vec![0.0; ball.dim()];
        Saddle { ball, settings, direction }
    }

    /// y, of norm at most 1: what the last call found, 0 before.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// Sets the direction to start from, of norm at most 1.
    ///
    /// # Panics
    /// When it has another length.
    pub fn start_from(&mut self, direction: &[f64]) {
        self.direction.copy_from_slice(direction);
    }

    /// Finds weights and, for [`direction`](Self::direction), y. `linear` is c; `warm` are weights to start from, which may end
    /// early and need not sum to 1.
    ///
    /// None where entries are not finite or a decomposition fails; the direction is then what it was.
    ///
    /// # Panics
    /// When there are no pieces, or lengths do not fit.
    pub fn solve(&mut self, pieces: &dyn Pieces, linear: &[f64], warm: &[f64]) -> Option<Answer> {
        let n = pieces.len();
        assert!(n > 0 && linear.len() == n && warm.len() <= n, "{n} pieces, {} linear terms", linear.len());
        assert_eq!(pieces.dim(), self.ball.dim(), "pieces of another length than the ball's vectors");
        let programme = Programme::new(pieces, linear, &*self.ball);
        let total: f64 = warm.iter().filter(|w| **w > 0.0).sum();
        let mut lambda: Vec<f64> = warm.iter().map(|w| if *w > 0.0 { w / total } else { 0.0 }).collect();
        lambda.resize(n, 0.0);
        if !(total > 0.0 && total.is_finite()) {
            lambda.fill(1.0 / n as f64);
        }
        let (direction, answer) = programme.run(&self.direction, lambda, self.settings)?;
        self.direction = direction;
        Some(answer)
    }
}
