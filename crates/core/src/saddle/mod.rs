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
//! P the projection on the ball, is convex and smooth with ∂ψ/∂λ_k = c_k + ⟨g_k, y⟩ and ∂²ψ/∂λ_k∂λ_l = τ⟨g_k, P'[g_l]⟩,
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
use crate::quadratic::factor::Factor;
use crate::quadratic::{Gram, MinNorm};
use crate::{Invalid, Layout};

mod ball;
mod blocks;
mod entries;
mod matrices;
mod power;

pub(crate) use ball::Ball;
pub(crate) use matrices::Matrix;

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

/// Proximal steps, and steps of Newton's method in each.
const OUTER: usize = 80;
const INNER: usize = 20;
/// What τ falls by where those did not suffice.
const SHRINK: f64 = 0.1;
/// Proximal steps without a better gap after which it has ended where it will.
const STALE: usize = 10;
/// A slope along a step of Newton's method that is this part of the first one is level, and how often one is asked for.
const LEVEL: f64 = 0.1;
const SEARCHES: usize = 30;
/// Rounding of the slopes of ψ, in units of τ's reach: y = P(w + τv) has that of τv.
const NOISE: f64 = 4.0 * f64::EPSILON;

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

/// v = Σλ_k g_k with y(λ).
struct Point {
    v: Vec<f64>,
    y: Vec<f64>,
    inner: Vec<f64>,
    /// c_k + ⟨g_k, y⟩.
    slopes: Vec<f64>,
    face: Box<dyn ball::Face>,
}

impl Point {
    fn least(&self) -> f64 {
        self.slopes.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// One problem.
struct Programme<'a> {
    pieces: &'a dyn Pieces,
    linear: &'a [f64],
    ball: &'a dyn Ball,
    steps: usize,
    responses: usize,
    passes: usize,
}

/// Where a proximal step starts, and τ.
struct Around<'a> {
    w: &'a [f64],
    tau: f64,
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
        let mut programme =
            Programme { pieces, linear, ball: &*self.ball, steps: 0, responses: 0, passes: 0 };
        let total: f64 = warm.iter().filter(|w| **w > 0.0).sum();
        let mut lambda: Vec<f64> = warm.iter().map(|w| if *w > 0.0 { w / total } else { 0.0 }).collect();
        lambda.resize(n, 0.0);
        if !(total > 0.0 && total.is_finite()) {
            lambda.fill(1.0 / n as f64);
        }
        let (w, answer) = programme.run(&self.direction, lambda, self.settings)?;
        self.direction = w;
        let Programme { steps, responses, passes, .. } = programme;
        Some(Answer { steps, responses, passes, ..answer })
    }
}

impl Programme<'_> {
    /// From w and λ to better ones.
    fn run(&mut self, from: &[f64], lambda: Vec<f64>, settings: Settings) -> Option<(Vec<f64>, Answer)> {
        let (mut w, mut lambda) = (from.to_vec(), lambda);
        let mut v = vec![0.0; w.len()];
        let mut best: Option<(Vec<f64>, Answer)> = None;
        let mut reach = settings.first;
        let mut stale = 0;
        let mut inner = vec![0.0; self.linear.len()];
        self.pieces.inner(&w, &mut inner);
        self.passes += 1;
        for _ in 0..OUTER {
            self.pieces.combine(&lambda, &mut v);
            self.passes += 1;
            let here = self.certified(&inner, &lambda, &v)?;
            let (gap, here_bound) = (here.gap(), here.bound);
            if best.as_ref().is_none_or(|(_, b)| gap < b.gap()) {
                (stale, best) = (0, Some((w.clone(), here)));
            } else {
                stale += 1;
            }
            if gap < settings.closed || stale > STALE {
                break;
            }
            // A usual entry (or singular value) of v is about bound/size².
            let tau = reach * self.ball.size() * self.ball.size() / here_bound;
            if !(tau > 0.0 && tau.is_finite()) {
                break;
            }
            let around = Around { w: &w, tau };
            let within = (settings.inexact * gap).clamp(NOISE * (1.0 + reach), settings.inexact);
            let (at, is_even) = self.step(&around, &mut lambda, within)?;
            // A larger τ is nearer the optimum, and its ψ nearer one with kinks, on which Newton's method fails.
            reach *= if is_even { settings.growth } else { SHRINK };
            reach = reach.min(settings.last);
            (w, inner) = (at.y, at.inner);
        }
        best
    }

    fn certified(&self, inner: &[f64], lambda: &[f64], v: &[f64]) -> Option<Answer> {
        let value = inner.iter().zip(self.linear).map(|(m, c)| m + c).fold(f64::INFINITY, f64::min);
        let dual_norm = self.ball.dual(v);
        let bound = dual_norm + dot(self.linear, lambda);
        (value.is_finite() && bound.is_finite()).then(|| Answer {
            lambda: lambda.to_vec(),
            inner: inner.to_vec(),
            value,
            bound,
            dual_norm,
            steps: 0,
            responses: 0,
            passes: 0,
        })
    }

    /// One proximal step: moves λ towards where ψ is least, and returns what it gives and whether that is within the part
    /// `within` of even slopes.
    fn step(&mut self, around: &Around<'_>, lambda: &mut Vec<f64>, within: f64) -> Option<(Point, bool)> {
        let n = lambda.len();
        let mut at = self.point(around, lambda)?;
        let mut solver = MinNorm::new();
        let mut curvature = vec![0.0; n * n];
        for _ in 0..INNER {
            let mean = dot(lambda, &at.slopes);
            if mean - at.least() <= within * mean.abs() {
                return Some((at, true));
            }
            self.steps += 1;
            curvature.fill(0.0);
            at.face.curvature(self.pieces, &mut curvature);
            // The model's slope at λ̂ is ∇ψ + H(λ̂ − λ).
            let linear: Vec<f64> =
                curvature.chunks_exact(n).zip(&at.slopes).map(|(row, s)| s - dot(row, lambda)).collect();
            let answer = solver.solve(Gram::new(&curvature, n, n), &linear, lambda);
            let target = answer.lambda.to_vec();
            let equations = on_support(&curvature, &at.slopes, lambda);
            // The programme finds the support, its equations are sharper where rounding is all that is left.
            let mut moved = false;
            for target in [Some(target), equations].into_iter().flatten() {
                let step: Vec<f64> = target.iter().zip(&*lambda).map(|(new, old)| new - old).collect();
                if let Some((next, there)) = self.search(around, lambda, &step, &at)? {
                    (*lambda, at, moved) = (next, there, true);
                    break;
                }
            }
            if !moved {
                break;
            }
        }
        Some((at, false))
    }

    /// λ + t·step with 0 < t ≤ 1 where ψ is least along the step, nearly; inner none where that is at t = 0.
    ///
    /// v moves along a line, so that a slope costs a pass over θ and none over the pieces.
    #[allow(clippy::type_complexity)]
    fn search(
        &mut self,
        around: &Around<'_>,
        lambda: &[f64],
        step: &[f64],
        at: &Point,
    ) -> Option<Option<(Vec<f64>, Point)>> {
        let first = dot(step, &at.slopes);
        if !(first < 0.0) {
            return Some(None);
        }
        let (along, mut change) = (dot(step, self.linear), vec![0.0; at.v.len()]);
        self.pieces.combine(step, &mut change);
        // The slope of ψ rises with t. The root is between `low` and `high`.
        let (mut low, mut high) = ((0.0, first), (1.0, f64::INFINITY));
        let (mut t, mut reached) = (1.0, None);
        for _ in 0..SEARCHES {
            let v: Vec<f64> = at.v.iter().zip(&change).map(|(v, d)| v + t * d).collect();
            let mut y = vec![0.0; v.len()];
            let (height, face) = self.ball.respond(&v, around.w, around.tau, &mut y)?;
            self.responses += 1;
            let slope = dot(&change, &y) + along;
            let is_even = slope.abs() <= LEVEL * -first;
            if slope <= 0.0 || is_even {
                (low, reached) = ((t, slope), Some((t, v, y, height, face)));
            } else {
                high = (t, slope);
            }
            if is_even || high.1.is_infinite() {
                break;
            }
            // The secant, kept off the ends of the bracket.
            let (width, part) = (high.0 - low.0, -low.1 / (high.1 - low.1));
            t = low.0 + width * part.clamp(0.1, 0.9);
        }
        let Some((t, v, y, height, face)) = reached else { return Some(None) };
        let mut next: Vec<f64> = lambda.iter().zip(step).map(|(l, s)| (l + t * s).max(0.0)).collect();
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|l| *l /= total);
        let there = self.measured(v, y, height, face, &next)?;
        Some(Some((next, there)))
    }

    /// y(λ).
    fn point(&mut self, around: &Around<'_>, lambda: &[f64]) -> Option<Point> {
        let mut v = vec![0.0; around.w.len()];
        self.pieces.combine(lambda, &mut v);
        let mut y = vec![0.0; v.len()];
        let (height, face) = self.ball.respond(&v, around.w, around.tau, &mut y)?;
        self.responses += 1;
        self.measured(v, y, height, face, lambda)
    }

    fn measured(
        &mut self,
        v: Vec<f64>,
        y: Vec<f64>,
        height: f64,
        face: Box<dyn ball::Face>,
        lambda: &[f64],
    ) -> Option<Point> {
        self.passes += 2;
        let mut inner = vec![0.0; lambda.len()];
        self.pieces.inner(&y, &mut inner);
        let slopes: Vec<f64> = inner.iter().zip(self.linear).map(|(m, c)| m + c).collect();
        (height.is_finite() && slopes.iter().all(|s| s.is_finite())).then_some(Point {
            v,
            y,
            inner,
            slopes,
            face,
        })
    }
}

/// λ moved to where the model's slopes on its support are equal; none where that leaves the simplex, or where a piece outside
/// would want to join.
fn on_support(curvature: &[f64], slopes: &[f64], lambda: &[f64]) -> Option<Vec<f64>> {
    let n = lambda.len();
    let support: Vec<usize> = (0..n).filter(|c| lambda[*c] > 0.0).collect();
    let mean = dot(lambda, slopes);
    let least = support.iter().map(|c| slopes[*c]).fold(f64::INFINITY, f64::min);
    if (0..n).any(|c| lambda[c] == 0.0 && slopes[c] < least) {
        return None;
    }
    // (H_S + shift·eeᵀ)δ = νe − (∇ψ_S − mean), with the ν that makes Σδ = 0.
    let shift = support.iter().map(|c| curvature[c * n + c]).fold(0.0, f64::max);
    let mut factor = Factor::default();
    let mut kept: Vec<usize> = Vec::new();
    for c in &support {
        let mut column: Vec<f64> = kept.iter().map(|d| curvature[c * n + d] + shift).collect();
        if factor.push(&mut column, curvature[c * n + c] + shift).is_ok() {
            kept.push(*c);
        }
    }
    let mut ones = vec![1.0; kept.len()];
    factor.solve(&mut ones);
    let mut delta: Vec<f64> = kept.iter().map(|c| mean - slopes[*c]).collect();
    factor.solve(&mut delta);
    let level = delta.iter().sum::<f64>() / ones.iter().sum::<f64>();
    let mut target = lambda.to_vec();
    for ((c, d), one) in kept.iter().zip(&delta).zip(&ones) {
        target[*c] += d - level * one;
    }
    target.iter().all(|l| *l >= 0.0).then_some(target)
}
