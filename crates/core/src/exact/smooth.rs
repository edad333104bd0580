//! ℓp for 1 < p < ∞: Newton's method on the dual, min ½‖Σλ_c a_c‖_q² over the simplex, 1/p + 1/q = 1.
//!
//! φ(λ) = ½‖g‖_q² is homogeneous of degree 2, so ∇φ = ∇²φ·λ and its quadratic model at λ is ½λ̂ᵀ∇²φ λ̂: a step of Newton's
//! method over the simplex is the shortest vector of a hull with the inner products
//!
//! ⟨a_c, a_d⟩_g = (q − 1) Σ_j |ĝ_j|^{q−2} a_cj a_dj + (2 − q) ⟨a_c, θ⟩⟨a_d, θ⟩,  ĝ = g/‖g‖_q, θ = sign(ĝ)|ĝ|^{q−1},
//!
//! which [`MinNorm`] finds with its active set. θ, of norm 1, is the primal point. At p = 2 one step is the answer.

use super::equations::shortest;
use super::working::Working;
use super::{Constraints, Failure, Geometry, Optimum, verify};
use crate::matrix::gram;
use crate::numeric::{axpy, dot};
use crate::quadratic::{Gram, MinNorm};

/// A margin outside the working set violates the least one within it when it is smaller by more than this fraction.
const VIOLATED: f64 = 1e-11;
/// Relative gap over the working set at which Newton's method ends.
const CLOSED: f64 = 1e-12;
const STEPS: usize = 300;
const ROUNDS: usize = 200;
/// Constraints that join in a round.
const JOINING: usize = 60;
/// Rounds of evening the margins at the end.
const POLISHES: usize = 3;
/// Below this fraction of ‖g‖_q an entry counts as this large where its power would be infinite (q < 2).
const FLOOR: f64 = 1e-14;

/// The maximal margin in ℓp, given the one in ℓ2.
pub(super) fn max_margin(a: &Constraints<'_>, p: f64, euclidean: &Optimum) -> Result<Optimum, Failure> {
    let geometry = Geometry::Lp(p);
    let mut working = Working::nearest(a, euclidean, 2, JOINING);
    let mut lambda = euclidean.dual.clone();
    let mut best: Option<Optimum> = None;
    for _ in 0..ROUNDS {
        let mut dual = Dual::new(a, &working.ids, p);
        let inner = dual.minimise(working.select(&lambda));
        lambda = working.spread(&inner);
        let mut theta = dual.point(&inner).theta;
        let mut found = verify(a, geometry, &theta, &lambda)?;
        for _ in 0..POLISHES {
            let even = dual.evened(&theta, &inner);
            match verify(a, geometry, &even, &lambda) {
                Ok(better) if better.gap() < found.gap() => (theta, found) = (even, better),
                _ => break,
            }
        }
        if best.as_ref().is_none_or(|b| found.gap() < b.gap()) {
            best = Some(found);
        }
        let margins = a.margins(&theta);
        if !working.join_violated(&margins, working.least(&margins), VIOLATED, JOINING) {
            break;
        }
    }
    best.ok_or_else(|| Failure::Stalled("no dual point was found".into()))
}

/// The dual over some constraints.
struct Dual {
    rows: Vec<f64>,
    n: usize,
    dim: usize,
    q: f64,
    solver: MinNorm,
}

/// A dual point with its primal one.
struct Point {
    /// ĝ = g/‖g‖_q.
    unit: Vec<f64>,
    theta: Vec<f64>,
    /// ‖g‖_q.
    bound: f64,
    margins: Vec<f64>,
    gap: f64,
}

impl Dual {
    fn new(a: &Constraints<'_>, working: &[usize], p: f64) -> Dual {
        let (n, dim) = (working.len(), a.dim());
        let mut rows = vec![0.0; n * dim];
        working.iter().zip(rows.chunks_exact_mut(dim)).for_each(|(c, row)| a.vector(*c, row));
        Dual { rows, n, dim, q: p / (p - 1.0), solver: MinNorm::new() }
    }

    fn row(&self, c: usize) -> &[f64] {
        &self.rows[c * self.dim..(c + 1) * self.dim]
    }

    fn point(&self, lambda: &[f64]) -> Point {
        let mut g = vec![0.0; self.dim];
        lambda.iter().enumerate().for_each(|(c, l)| axpy(*l, self.row(c), &mut g));
        let bound = Geometry::Lp(self.q).norm(&g, (1, self.dim));
        let unit: Vec<f64> = g.iter().map(|x| x / bound).collect();
        let theta: Vec<f64> = unit.iter().map(|x| x.abs().powf(self.q - 1.0).copysign(*x)).collect();
        let margins: Vec<f64> = (0..self.n).map(|c| dot(self.row(c), &theta)).collect();
        let least = margins.iter().copied().fold(f64::INFINITY, f64::min);
        Point { unit, theta, bound, margins, gap: (bound - least) / bound }
    }

    /// The inner products at a point.
    fn metric(&self, at: &Point) -> Vec<f64> {
        let power = 0.5 * (self.q - 2.0);
        let roots: Vec<f64> =
            at.unit.iter().map(|x| (self.q - 1.0).sqrt() * x.abs().max(FLOOR).powf(power)).collect();
        let scaled: Vec<f64> = self.rows.iter().zip(roots.iter().cycle()).map(|(x, r)| x * r).collect();
        let mut products = gram(&scaled, self.n, self.dim);
        for c in 0..self.n {
            for d in 0..self.n {
                products[c * self.n + d] += (2.0 - self.q) * at.margins[c] * at.margins[d];
            }
        }
        products
    }

    fn minimise(&mut self, start: Vec<f64>) -> Vec<f64> {
        let total: f64 = start.iter().sum();
        let mut lambda: Vec<f64> = match total > 0.0 {
            true => start.iter().map(|l| l / total).collect(),
            false => vec![1.0 / self.n as f64; self.n],
        };
        let mut at = self.point(&lambda);
        for _ in 0..STEPS {
            if at.gap < CLOSED {
                break;
            }
            let metric = self.metric(&at);
            let answer = self.solver.solve(Gram::new(&metric, self.n, self.n), &[], &lambda);
            let step: Vec<f64> = answer.lambda.iter().zip(&lambda).map(|(new, old)| new - old).collect();
            let Some((next, point)) = self.search(&lambda, &step, &at) else { break };
            (lambda, at) = (next, point);
        }
        lambda
    }

    /// θ moved the shortest way to where the margins of the support are their mean by λ. To first order ‖θ‖_p stays what it is,
    /// and θ no longer depends on the powers of small entries of g, which rounding spoils for large p.
    fn evened(&self, theta: &[f64], lambda: &[f64]) -> Vec<f64> {
        let support: Vec<usize> = (0..self.n).filter(|c| lambda[*c] > 0.0).collect();
        let margins: Vec<f64> = support.iter().map(|c| dot(self.row(*c), theta)).collect();
        let mean: f64 = support.iter().zip(&margins).map(|(c, m)| lambda[*c] * m).sum();
        let rows: Vec<f64> = support.iter().flat_map(|c| self.row(*c)).copied().collect();
        let missing: Vec<f64> = margins.iter().map(|m| mean - m).collect();
        let delta = shortest(&rows, support.len(), self.dim, &missing);
        theta.iter().zip(&delta).map(|(w, d)| w + d).collect()
    }

    /// Halves the step until ‖g‖_q falls; at the end, where it no longer can, until the gap does.
    fn search(&self, lambda: &[f64], step: &[f64], at: &Point) -> Option<(Vec<f64>, Point)> {
        let slope: f64 = step.iter().zip(&at.margins).map(|(s, m)| s * m).sum();
        let mut length = 1.0;
        for _ in 0..60 {
            let next: Vec<f64> = lambda.iter().zip(step).map(|(l, s)| l + length * s).collect();
            let point = self.point(&next);
            let fall = at.bound - point.bound;
            let is_rounding = fall.abs() <= 8.0 * f64::EPSILON * at.bound;
            if fall >= -0.1 * length * slope && slope < 0.0 && !is_rounding
                || is_rounding && point.gap < at.gap
            {
                return Some((next, point));
            }
            length *= 0.5;
        }
        None
    }
}
