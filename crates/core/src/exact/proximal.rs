//! Spectral and nuclear norm: the proximal point algorithm, its steps by a semismooth Newton method on their dual.
//!
//! From W_k the next point is W_{k+1} = argmax min_c ⟨A_c, W⟩ − ‖W − W_k‖_F²/2τ over ‖W‖ ≤ 1. Its dual over the simplex,
//!
//! ψ(λ) = max_{‖X‖≤1} ⟨G, X⟩ − ‖X − W_k‖²/2τ,  G = Σλ_c A_c,  is attained at  X(λ) = P(W_k + τG),
//!
//! with P the projection on the ball, which acts on singular values: they are cut at 1 (spectral) or lowered by what makes
//! their sum 1 (nuclear). ψ is convex and smooth with ∂ψ/∂λ_c = ⟨A_c, X⟩ and ∂²ψ/∂λ_c∂λ_d = τ⟨A_c, P'[A_d]⟩, piecewise. A
//! step of Newton's method over the simplex is a quadratic programme for [`MinNorm`], whose support then takes steps of its
//! own by the equations.
//! W is kept as such, so that what it is where G has no singular values, which decides the margins there, loses nothing to
//! their smallness. The bounds are W's own margins and ‖G‖⋆.
//!
//! # References
//! R. T. Rockafellar, *Monotone operators and the proximal point algorithm*, SIAM J. Control and Optimization 14 (1976);
//! X. Zhao, D. Sun, K.-C. Toh, *A Newton-CG augmented Lagrangian method for semidefinite programming*, SIAM J. Optimization 20
//! (2010)

use super::working::Working;
use super::{Constraints, Failure, Geometry, Optimum, verify};
use crate::matrix::{Svd, gram, product, transposed};
use crate::numeric::{axpy, dot, norm, project_on_simplex, scale};
use crate::quadratic::factor::Factor;
use crate::quadratic::{Gram, MinNorm};

/// A margin outside the working set violates the least one within it when it is smaller by more than this fraction.
const VIOLATED: f64 = 1e-11;
/// Relative gap over the working set at which the proximal steps end.
const CLOSED: f64 = 1e-12;
const ROUNDS: usize = 100;
const OUTER: usize = 80;
const INNER: usize = 60;
/// Constraints that join in a round.
const JOINING: usize = 60;
/// τ·‖G‖_F at the first step, where the ball has radius 1, its growth from step to step, and where it ends: beyond, the
/// quadratic programmes lose to rounding what the outer steps gain.
const FIRST: f64 = 1.0;
const GROWTH: f64 = 2.0;
const LAST: f64 = 1e4;

/// The maximal margin in the spectral or nuclear norm of W, from a solution and multipliers that are near, such as those of
/// ℓ2.
pub(super) fn max_margin(
    a: &Constraints<'_>,
    geometry: Geometry,
    start: &Optimum,
) -> Result<Optimum, Failure> {
    let mut working = Working::nearest(a, start, 2, JOINING);
    let (mut w, mut lambda) = (start.solution.clone(), start.dual.clone());
    let mut best: Option<Optimum> = None;
    for _ in 0..ROUNDS {
        let mut steps = Proximal::new(a, &working.ids, geometry);
        let (point, inner) = steps.run(w, working.select(&lambda)).ok_or_else(failed)?;
        w = point;
        lambda = working.spread(&inner);
        let found = verify(a, geometry, &w, &lambda)?;
        if best.as_ref().is_none_or(|b| found.gap() < b.gap()) {
            best = Some(found);
        }
        let margins = a.margins(&w);
        if !working.join_violated(&margins, working.least(&margins), VIOLATED, JOINING) {
            break;
        }
    }
    best.ok_or_else(failed)
}

fn failed() -> Failure {
    Failure::Stalled("a singular value decomposition did not converge".into())
}

/// The problem over some constraints, as matrices with no more rows than columns, over their largest size.
struct Proximal {
    geometry: Geometry,
    /// n × (rows·cols).
    vectors: Vec<f64>,
    n: usize,
    shape: (usize, usize),
    is_turned: bool,
}

/// X = P(W_k + τG) with what its derivative needs.
struct Projected {
    x: Vec<f64>,
    /// U (rows × rows) and Vᵀ (rows × cols) of W_k + τG.
    u: Vec<f64>,
    vt: Vec<f64>,
    /// Singular values before and after.
    before: Vec<f64>,
    after: Vec<f64>,
    /// ⟨A_c, X⟩.
    margins: Vec<f64>,
    /// ψ.
    height: f64,
}

impl Proximal {
    fn new(a: &Constraints<'_>, working: &[usize], geometry: Geometry) -> Proximal {
        let (rows, cols) = a.shape();
        let (n, dim, is_turned) = (working.len(), a.dim(), rows > cols);
        let mut vectors = vec![0.0; n * dim];
        let mut one = vec![0.0; dim];
        for (c, row) in working.iter().zip(vectors.chunks_exact_mut(dim)) {
            a.vector(*c, &mut one);
            row.copy_from_slice(&if is_turned { transposed(&one, rows, cols) } else { one.clone() });
        }
        // Over their largest size all later numbers are of order 1; margins scale with it.
        let largest = vectors.chunks_exact(dim).map(norm).fold(0.0, f64::max);
        scale(1.0 / largest, &mut vectors);
        let shape = if is_turned { (cols, rows) } else { (rows, cols) };
        Proximal { geometry, vectors, n, shape, is_turned }
    }

    fn row(&self, c: usize) -> &[f64] {
        let dim = self.shape.0 * self.shape.1;
        &self.vectors[c * dim..(c + 1) * dim]
    }

    fn combine(&self, lambda: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; self.shape.0 * self.shape.1];
        lambda
            .iter()
            .enumerate()
            .filter(|(_, l)| **l != 0.0)
            .for_each(|(c, l)| axpy(*l, self.row(c), &mut g));
        g
    }

    /// From W and λ to better ones; none where a decomposition failed.
    fn run(&mut self, w: Vec<f64>, lambda: Vec<f64>) -> Option<(Vec<f64>, Vec<f64>)> {
        let turn = |w: &[f64], (rows, cols): (usize, usize)| match self.is_turned {
            true => transposed(w, rows, cols),
            false => w.to_vec(),
        };
        let mut w = turn(&w, (self.shape.1, self.shape.0));
        let size = self.geometry.norm(&w, self.shape);
        scale(1.0 / size, &mut w);
        let total: f64 = lambda.iter().sum();
        let mut lambda: Vec<f64> = match total > 0.0 {
            true => lambda.iter().map(|l| l / total).collect(),
            false => vec![1.0 / self.n as f64; self.n],
        };
        let mut best = (w.clone(), lambda.clone(), f64::INFINITY);
        let first = norm(&self.combine(&lambda));
        let mut reach = FIRST;
        let mut stale = 0;
        for _ in 0..OUTER {
            let gap = self.gap(&w, &lambda);
            if gap < best.2 {
                stale = 0;
                best = (w.clone(), lambda.clone(), gap);
            } else {
                stale += 1;
            }
            if best.2 < CLOSED || stale > 6 {
                break;
            }
            let tau = reach / first;
            reach = (GROWTH * reach).min(LAST);
            (w, lambda) = self.step(&w, lambda, tau, (1e-3 * best.2).clamp(1e-15, 1e-3))?;
        }
        Some((turn(&best.0, self.shape), best.1))
    }

    /// The relative gap of W and λ over the working set.
    fn gap(&self, w: &[f64], lambda: &[f64]) -> f64 {
        let least = (0..self.n).map(|c| dot(self.row(c), w)).fold(f64::INFINITY, f64::min);
        let bound = self.geometry.dual().norm(&self.combine(lambda), self.shape);
        (bound - least / self.geometry.norm(w, self.shape)) / bound
    }

    /// One proximal step: X and the λ that gives it.
    fn step(&self, w: &[f64], start: Vec<f64>, tau: f64, within: f64) -> Option<(Vec<f64>, Vec<f64>)> {
        let mut lambda = start;
        let mut at = self.project(w, tau, &lambda)?;
        let mut solver = MinNorm::new();
        for _ in 0..INNER {
            let mean = dot(&lambda, &at.margins);
            let least = at.margins.iter().copied().fold(f64::INFINITY, f64::min);
            if mean - least <= within * mean.abs() {
                break;
            }
            let curvature = self.curvature(&at, tau);
            let inner = dot_rows(&curvature, &lambda);
            // The model's slope at λ̂ is ∇ψ + H(λ̂ − λ).
            let linear: Vec<f64> = at.margins.iter().zip(&inner).map(|(m, h)| m - h).collect();
            let answer = solver.solve(Gram::new(&curvature, self.n, self.n), &linear, &lambda);
            let target = answer.lambda.to_vec();
            let equations = self.on_support(&curvature, &at.margins, &lambda);
            // The equations of the support are sharper where it is the right one, the programme finds it.
            let candidates = [equations, Some(target)];
            let mut moved = false;
            for target in candidates.into_iter().flatten() {
                let step: Vec<f64> = target.iter().zip(&lambda).map(|(new, old)| new - old).collect();
                if let Some(next) = self.search(w, tau, &lambda, &step, &at)? {
                    (lambda, at) = next;
                    moved = true;
                    break;
                }
            }
            if !moved {
                break;
            }
        }
        Some((at.x, lambda))
    }

    /// λ moved to where the model's slopes on its support are equal; none where that leaves the simplex, or where a
    /// constraint outside would want to join.
    fn on_support(&self, curvature: &[f64], margins: &[f64], lambda: &[f64]) -> Option<Vec<f64>> {
        let support: Vec<usize> = (0..self.n).filter(|c| lambda[*c] > 0.0).collect();
        let mean = dot(lambda, margins);
        let least = support.iter().map(|c| margins[*c]).fold(f64::INFINITY, f64::min);
        if (0..self.n).any(|c| lambda[c] == 0.0 && margins[c] < least) {
            return None;
        }
        // (H_S + shift·eeᵀ)δ = νe − (∇ψ_S − mean), with the ν that makes Σδ = 0.
        let shift = support.iter().map(|c| curvature[c * self.n + c]).fold(0.0, f64::max);
        let mut factor = Factor::default();
        let mut kept: Vec<usize> = Vec::new();
        for c in &support {
            let mut column: Vec<f64> = kept.iter().map(|d| curvature[c * self.n + d] + shift).collect();
            if factor.push(&mut column, curvature[c * self.n + c] + shift).is_ok() {
                kept.push(*c);
            }
        }
        let mut ones = vec![1.0; kept.len()];
        factor.solve(&mut ones);
        let mut delta: Vec<f64> = kept.iter().map(|c| mean - margins[*c]).collect();
        factor.solve(&mut delta);
        let level = delta.iter().sum::<f64>() / ones.iter().sum::<f64>();
        let mut target = lambda.to_vec();
        for ((c, d), one) in kept.iter().zip(&delta).zip(&ones) {
            target[*c] += d - level * one;
        }
        target.iter().all(|l| *l >= 0.0).then_some(target)
    }

    /// Halves the step until ψ falls; at the end, where it no longer can, until the slopes are more even.
    #[allow(clippy::type_complexity)]
    fn search(
        &self,
        w: &[f64],
        tau: f64,
        lambda: &[f64],
        step: &[f64],
        at: &Projected,
    ) -> Option<Option<(Vec<f64>, Projected)>> {
        let slope = dot(step, &at.margins);
        let uneven = |lambda: &[f64], at: &Projected| {
            dot(lambda, &at.margins) - at.margins.iter().copied().fold(f64::INFINITY, f64::min)
        };
        let mut length = 1.0;
        for _ in 0..40 {
            let next: Vec<f64> = lambda.iter().zip(step).map(|(l, s)| (l + length * s).max(0.0)).collect();
            let there = self.project(w, tau, &next)?;
            let fall = at.height - there.height;
            let is_rounding = fall.abs() <= 64.0 * f64::EPSILON * (1.0 + tau) * at.height.abs();
            if !is_rounding && slope < 0.0 && fall >= -1e-4 * length * slope
                || is_rounding && uneven(&next, &there) < uneven(lambda, at)
            {
                return Some(Some((next, there)));
            }
            length *= 0.5;
        }
        Some(None)
    }

    fn project(&self, w: &[f64], tau: f64, lambda: &[f64]) -> Option<Projected> {
        let (rows, cols) = self.shape;
        let g = self.combine(lambda);
        let y: Vec<f64> = w.iter().zip(&g).map(|(w, g)| w + tau * g).collect();
        let (u, before, vt) = Svd::of(&y, rows, cols)?.parts();
        let after = match self.geometry {
            Geometry::Nuclear => lowered(&before),
            _ => before.iter().map(|s| s.min(1.0)).collect(),
        };
        let left: Vec<f64> = u.iter().enumerate().map(|(k, u)| u * after[k % rows]).collect();
        let x = product(&left, &vt, rows, rows, cols);
        let margins: Vec<f64> = (0..self.n).map(|c| dot(self.row(c), &x)).collect();
        let apart: f64 = x.iter().zip(w).map(|(x, w)| (x - w) * (x - w)).sum();
        let height = dot(&g, &x) - apart / (2.0 * tau);
        Some(Projected { x, u, vt, before, after, margins, height })
    }

    /// τ⟨A_c, P'[A_d]⟩: the Gram matrix of the A_c in coordinates that P' only scales.
    ///
    /// With E = Uᵀ A V and its symmetric and skew parts, P' multiplies sym_ij by (p_i − p_j)/(y_i − y_j), skew_ij by
    /// (p_i + p_j)/(y_i + y_j), what is orthogonal to V in row i by p_i/y_i, and the diagonal by the derivative of the
    /// projection of singular values.
    fn curvature(&self, at: &Projected, tau: f64) -> Vec<f64> {
        let (m, cols) = self.shape;
        let (y, p) = (&at.before, &at.after);
        let is_nuclear = self.geometry == Geometry::Nuclear;
        let inside = is_nuclear && y.iter().sum::<f64>() <= 1.0;
        let open = |i: usize| if is_nuclear { inside || p[i] > 0.0 } else { y[i] < 1.0 };
        let between = |i: usize, j: usize| match (open(i), open(j)) {
            (true, true) => 1.0,
            (false, false) => 0.0,
            _ => ((p[i] - p[j]) / (y[i] - y[j])).clamp(0.0, 1.0),
        };
        let ratio =
            |p: f64, y: f64| if y > 0.0 { (p / y).clamp(0.0, 1.0) } else { f64::from(!is_nuclear || inside) };
        let count = (0..m).filter(|i| open(*i)).count() as f64;
        let width = 2 * m * m + m * cols;
        let mut coordinates = vec![0.0; self.n * width];
        let ut = transposed(&at.u, m, m);
        let v = transposed(&at.vt, m, cols);
        for (c, out) in coordinates.chunks_exact_mut(width).enumerate() {
            let b = product(&ut, self.row(c), m, m, cols);
            let e = product(&b, &v, m, cols, m);
            let along = product(&e, &at.vt, m, m, cols);
            let (pairs, rest) = out.split_at_mut(2 * m * m);
            let mean = (0..m).filter(|i| open(*i)).map(|i| e[i * m + i]).sum::<f64>() / count.max(1.0);
            for i in 0..m {
                for j in 0..m {
                    let (one, other) = (e[i * m + j], e[j * m + i]);
                    pairs[i * m + j] = if i != j {
                        between(i, j).sqrt() * 0.5 * (one + other)
                    } else if !open(i) {
                        0.0
                    } else if is_nuclear && !inside {
                        one - mean
                    } else {
                        one
                    };
                    pairs[m * m + i * m + j] = ratio(p[i] + p[j], y[i] + y[j]).sqrt() * 0.5 * (one - other);
                }
                let root = ratio(p[i], y[i]).sqrt();
                for j in 0..cols {
                    rest[i * cols + j] = root * (b[i * cols + j] - along[i * cols + j]);
                }
            }
        }
        scale(tau.sqrt(), &mut coordinates);
        gram(&coordinates, self.n, width)
    }
}

/// Hλ, row by row.
fn dot_rows(h: &[f64], lambda: &[f64]) -> Vec<f64> {
    h.chunks_exact(lambda.len()).map(|row| dot(row, lambda)).collect()
}

/// The nearest numbers of sum at most 1 to numbers that are not negative: all lowered by the same, none below 0.
fn lowered(sizes: &[f64]) -> Vec<f64> {
    let mut out = sizes.to_vec();
    if sizes.iter().sum::<f64>() > 1.0 {
        project_on_simplex(&mut out);
    }
    out
}
