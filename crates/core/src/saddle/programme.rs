//! Proximal steps and the steps of Newton's method in them.

use super::ball::{Ball, Face};
use super::{Answer, Pieces, Settings};
use crate::numeric::dot;
use crate::quadratic::factor::Factor;
use crate::quadratic::{Gram, MinNorm};

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

/// v = Σλ_k g_k with y(λ).
struct Point {
    v: Vec<f64>,
    y: Vec<f64>,
    inner: Vec<f64>,
    /// c_k + ⟨g_k, y⟩.
    slopes: Vec<f64>,
    face: Box<dyn Face>,
}

impl Point {
    fn least(&self) -> f64 {
        self.slopes.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// One problem.
pub(super) struct Programme<'a> {
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

impl<'a> Programme<'a> {
    pub fn new(pieces: &'a dyn Pieces, linear: &'a [f64], ball: &'a dyn Ball) -> Self {
        Programme { pieces, linear, ball, steps: 0, responses: 0, passes: 0 }
    }

    /// From w and λ to better ones.
    pub fn run(mut self, from: &[f64], lambda: Vec<f64>, settings: Settings) -> Option<(Vec<f64>, Answer)> {
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
        let (w, answer) = best?;
        Some((w, Answer { steps: self.steps, responses: self.responses, passes: self.passes, ..answer }))
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
        face: Box<dyn Face>,
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
