//! ℓ1 and ℓ∞: linear programmes over a growing set of constraints, and the equations of the active set.
//!
//! Clarabel's interior point is near the middle of the set of optima: a constraint is active where its multiplier exceeds
//! its slack, a coordinate bound by the norm where its part of the dual exceeds its own slack. The point and the multipliers
//! are then moved the shortest way to where the active conditions are equations, which f64 meets to rounding.

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::NonnegativeConeT;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};

use super::equations::shortest;
use super::{Constraints, Failure, Geometry, Optimum, verify};
use crate::numeric::{dot, norm};
use crate::quadratic::{Gram, Nnls};

/// A margin outside the working set violates the least one within it when it is smaller by more than this fraction.
const VIOLATED: f64 = 1e-11;
/// Gap that is good enough to stop.
const CLOSED: f64 = 1e-12;
/// Slack, relative to the margin or to the norm, up to which a refined point counts as touching.
const TIGHT: f64 = 1e-10;
/// Rounds of constraints: each needs at least one that its programme violated.
const ROUNDS: usize = 100;
/// Constraints to begin with, beside those of the ℓ2 problem.
const FIRST: usize = 150;

/// The maximal margin in ℓ1 or ℓ∞, given the one in ℓ2.
pub(super) fn max_margin(
    a: &Constraints<'_>,
    geometry: Geometry,
    euclidean: &Optimum,
) -> Result<Optimum, Failure> {
    let margins = a.margins(&euclidean.solution);
    let mut order: Vec<usize> = (0..a.len()).collect();
    order.sort_by(|c, d| margins[*c].total_cmp(&margins[*d]).then(c.cmp(d)));
    let support = euclidean.dual.iter().filter(|l| **l > 0.0).count();
    order.truncate(FIRST.max(3 * support));
    let mut working = order;
    let mut best: Option<Optimum> = None;
    for _ in 0..ROUNDS {
        let programme = Programme::new(a, &working, geometry);
        let Some(found) = programme.best() else { break };
        let mut lambda = vec![0.0; a.len()];
        working.iter().zip(&found.lambda).for_each(|(c, l)| lambda[*c] = *l);
        let theta = programme.whole(a, &found.theta);
        let Ok(now) = verify(a, geometry, &theta, &lambda) else { break };
        let least = found.value * geometry.norm(&theta, a.shape());
        // The bound of every round holds for all constraints only with all of its multipliers: the last is the best.
        if best.as_ref().is_none_or(|b| now.gap() < b.gap()) {
            best = Some(now);
        }
        let margins = a.margins(&theta);
        let mut is_in = vec![false; a.len()];
        working.iter().for_each(|c| is_in[*c] = true);
        let mut violated: Vec<usize> =
            (0..a.len()).filter(|c| !is_in[*c] && margins[*c] < least - VIOLATED * least.abs()).collect();
        if violated.is_empty() {
            break;
        }
        violated.sort_by(|c, d| margins[*c].total_cmp(&margins[*d]).then(c.cmp(d)));
        violated.truncate(FIRST);
        working.extend(violated);
    }
    best.ok_or_else(|| Failure::Stalled("the linear programme gave no point of the ball".into()))
}

/// The problem over some constraints, scaled to entries of about 1, over the coordinates that they use.
struct Programme {
    geometry: Geometry,
    columns: Vec<usize>,
    /// n × columns.
    rows: Vec<f64>,
    n: usize,
}

/// θ over the coordinates of a programme, λ over its constraints, and the bounds that they give there.
#[derive(Clone, Debug)]
struct Pair {
    theta: Vec<f64>,
    lambda: Vec<f64>,
    value: f64,
    gap: f64,
}

impl Programme {
    fn new(a: &Constraints<'_>, working: &[usize], geometry: Geometry) -> Programme {
        let (n, dim) = (working.len(), a.dim());
        let mut full = vec![0.0; n * dim];
        working.iter().zip(full.chunks_exact_mut(dim)).for_each(|(c, row)| a.vector(*c, row));
        let columns: Vec<usize> = (0..dim).filter(|j| (0..n).any(|i| full[i * dim + j] != 0.0)).collect();
        let rows = full.chunks_exact(dim).flat_map(|row| columns.iter().map(|j| row[*j])).collect();
        Programme { geometry, columns, rows, n }
    }

    fn row(&self, c: usize) -> &[f64] {
        &self.rows[c * self.columns.len()..(c + 1) * self.columns.len()]
    }

    fn margins(&self, theta: &[f64]) -> Vec<f64> {
        (0..self.n).map(|c| dot(self.row(c), theta)).collect()
    }

    fn combine(&self, lambda: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; self.columns.len()];
        lambda.iter().enumerate().for_each(|(c, l)| crate::numeric::axpy(*l, self.row(c), &mut g));
        g
    }

    fn whole(&self, a: &Constraints<'_>, theta: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; a.dim()];
        self.columns.iter().zip(theta).for_each(|(j, w)| out[*j] = *w);
        out
    }

    /// The pair scaled to norm 1 and sum 1, with its bounds; none where it has no norm or no sum.
    fn pair(&self, theta: &[f64], lambda: &[f64]) -> Option<Pair> {
        let shape = (1, self.columns.len());
        let size = self.geometry.norm(theta, shape);
        let lambda: Vec<f64> = lambda.iter().map(|l| l.max(0.0)).collect();
        let total: f64 = lambda.iter().sum();
        if !(size > 0.0 && total > 0.0 && size.is_finite() && total.is_finite()) {
            return None;
        }
        let theta: Vec<f64> = theta.iter().map(|w| w / size).collect();
        let lambda: Vec<f64> = lambda.iter().map(|l| l / total).collect();
        let value = self.margins(&theta).into_iter().fold(f64::INFINITY, f64::min);
        let bound = self.geometry.dual().norm(&self.combine(&lambda), shape);
        Some(Pair { theta, lambda, value, gap: (bound - value) / bound })
    }

    /// The interior point's pair, or what the equations of its active set make of it, whichever has the smaller gap.
    fn best(&self) -> Option<Pair> {
        let (theta, lambda) = self.interior_point()?;
        let mut best = self.pair(&theta, &lambda)?;
        let interior = best.clone();
        // Where the partition is not clear at 1, a wider or a narrower active set may be the right one.
        for ratio in [1.0, 1e-3, 1e3] {
            if best.gap < CLOSED {
                break;
            }
            for from in [interior.clone(), best.clone()] {
                if let Some(refined) = self.refined(&from, ratio)
                    && refined.gap < best.gap
                {
                    best = refined;
                }
            }
        }
        for _ in 0..3 {
            if best.gap < CLOSED || self.geometry == Geometry::L1 {
                break;
            }
            match self.fitted(&best) {
                Some(fitted) if fitted.gap < best.gap => best = fitted,
                _ => break,
            }
        }
        Some(best)
    }

    /// ℓ∞: the multipliers moved by what is not negative, where the shortest correction would leave the simplex because more
    /// constraints are active than the solution needs.
    ///
    /// Optimal multipliers have Σλ_c a_c = Σu_jσ_je_j with u ≥ 0 over the coordinates at σ_j = ±1. What is missing, r, is made
    /// of the a_c and −σ_je_j, which span all that they can as a cone.
    fn fitted(&self, from: &Pair) -> Option<Pair> {
        let d = self.columns.len();
        let margins = self.margins(&from.theta);
        let t = margins.iter().copied().fold(f64::INFINITY, f64::min);
        let active: Vec<usize> = (0..self.n).filter(|c| margins[*c] - t <= TIGHT * t.abs()).collect();
        let clamped: Vec<usize> = (0..d).filter(|j| 1.0 - from.theta[*j].abs() <= TIGHT).collect();
        let mut lambda = vec![0.0; self.n];
        active.iter().for_each(|c| lambda[*c] = from.lambda[*c]);
        let largest = self.rows.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let mut missing: Vec<f64> = self.combine(&lambda).iter().map(|g| g / largest).collect();
        for j in &clamped {
            let sign = from.theta[*j].signum();
            missing[*j] = sign * (sign * missing[*j]).min(0.0);
        }
        let size = norm(&missing);
        if size == 0.0 {
            return None;
        }
        let (k, m) = (active.len(), active.len() + clamped.len());
        let mut gram = vec![0.0; m * m];
        let mut slopes = vec![0.0; m];
        for (i, c) in active.iter().enumerate() {
            for (l, e) in active.iter().enumerate() {
                gram[i * m + l] = dot(self.row(*c), self.row(*e)) / (largest * largest);
            }
            for (l, j) in clamped.iter().enumerate() {
                let inner = -from.theta[*j].signum() * self.row(*c)[*j] / largest;
                gram[i * m + k + l] = inner;
                gram[(k + l) * m + i] = inner;
            }
            slopes[i] = -dot(self.row(*c), &missing) / (largest * size);
        }
        for (l, j) in clamped.iter().enumerate() {
            gram[(k + l) * m + k + l] = 1.0;
            slopes[k + l] = from.theta[*j].signum() * missing[*j] / size;
        }
        let mut solver = Nnls::new();
        let fit = solver.solve(Gram::new(&gram, m, m), &slopes, &[]);
        active.iter().zip(fit.lambda).for_each(|(c, more)| lambda[*c] += more * size);
        self.pair(&from.theta, &lambda)
    }

    /// max t subject to ⟨a_c, θ⟩ ≥ t and ‖θ‖ ≤ 1, as Clarabel solves it.
    fn interior_point(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let (n, d) = (self.n, self.columns.len());
        let largest = self.rows.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let t = d;
        let mut entries: (Vec<usize>, Vec<usize>, Vec<f64>) = Default::default();
        let mut right = Vec::new();
        let mut add = |row: &[(usize, f64)], b: f64| {
            for (j, x) in row.iter().filter(|(_, x)| *x != 0.0) {
                entries.0.push(right.len());
                entries.1.push(*j);
                entries.2.push(*x);
            }
            right.push(b);
        };
        for c in 0..n {
            let mut row: Vec<(usize, f64)> =
                self.row(c).iter().enumerate().map(|(j, x)| (j, -x / largest)).collect();
            row.push((t, 1.0));
            add(&row, 0.0);
        }
        let variables = match self.geometry {
            Geometry::L1 => {
                // |θ_j| ≤ s_j and Σ s_j ≤ 1.
                let s = |j: usize| d + 1 + j;
                for j in 0..d {
                    add(&[(j, 1.0), (s(j), -1.0)], 0.0);
                    add(&[(j, -1.0), (s(j), -1.0)], 0.0);
                }
                add(&(0..d).map(|j| (s(j), 1.0)).collect::<Vec<_>>(), 1.0);
                2 * d + 1
            }
            _ => {
                for j in 0..d {
                    add(&[(j, 1.0)], 1.0);
                    add(&[(j, -1.0)], 1.0);
                }
                d + 1
            }
        };
        let mut objective = vec![0.0; variables];
        objective[t] = -1.0;
        let a = CscMatrix::new_from_triplets(right.len(), variables, entries.0, entries.1, entries.2);
        let settings = DefaultSettingsBuilder::default()
            .verbose(false)
            .tol_gap_abs(1e-10)
            .tol_gap_rel(1e-10)
            .tol_feas(1e-10)
            .build()
            .ok()?;
        let cones = [NonnegativeConeT(right.len())];
        let zero = CscMatrix::zeros((variables, variables));
        let mut solver = DefaultSolver::new(&zero, &objective, &a, &right, &cones, settings).ok()?;
        solver.solve();
        Some((solver.solution.x[..d].to_vec(), solver.solution.z[..n].to_vec()))
    }

    /// The nearest pair that meets the conditions of the active set as equations: those whose multiplier is above `ratio`
    /// times their slack.
    fn refined(&self, from: &Pair, ratio: f64) -> Option<Pair> {
        let d = self.columns.len();
        let margins = self.margins(&from.theta);
        let t = margins.iter().copied().fold(f64::INFINITY, f64::min);
        let g = self.combine(&from.lambda);
        let dual = self.geometry.dual().norm(&g, (1, d));
        let active: Vec<usize> =
            (0..self.n).filter(|c| from.lambda[*c] > ratio * (margins[*c] - t) / t.abs()).collect();
        let is_l1 = self.geometry == Geometry::L1;
        // ℓ1: coordinates with weight. ℓ∞: coordinates strictly inside.
        let open: Vec<usize> = (0..d)
            .filter(|j| match is_l1 {
                true => from.theta[*j].abs() > ratio * (1.0 - g[*j].abs() / dual),
                false => 1.0 - from.theta[*j].abs() > ratio * g[*j].abs() / dual,
            })
            .collect();
        let sign = |j: usize| if is_l1 { from.theta[j].signum() } else { g[j].signum() };

        let m = open.len() + 1;
        let mut theta = vec![0.0; d];
        if !is_l1 {
            (0..d).for_each(|j| theta[j] = sign(j));
        }
        open.iter().for_each(|j| theta[*j] = from.theta[*j]);
        let mut rows = Vec::with_capacity((active.len() + 1) * m);
        let mut right: Vec<f64> = Vec::with_capacity(active.len() + 1);
        for c in &active {
            let row = self.row(*c);
            rows.extend(open.iter().map(|j| row[*j]));
            rows.push(-1.0);
            right.push(t - dot(row, &theta));
        }
        if is_l1 {
            rows.extend(open.iter().map(|j| sign(*j)));
            rows.push(0.0);
            right.push(1.0 - crate::numeric::compensated_sum(open.iter().map(|j| sign(*j) * theta[*j])));
        }
        let delta = shortest(&rows, right.len(), m, &right);
        open.iter().zip(&delta).for_each(|(j, x)| theta[*j] += x);

        // The multipliers of the active constraints, and for ℓ1 the height ‖g‖_∞ that the coordinates with weight share.
        let (k, width) = (active.len(), active.len() + usize::from(is_l1));
        let mut lambda = vec![0.0; self.n];
        active.iter().for_each(|c| lambda[*c] = from.lambda[*c]);
        let held = self.combine(&lambda);
        let (mut rows, mut right) = (Vec::with_capacity((open.len() + 1) * width), Vec::new());
        for j in &open {
            rows.extend(active.iter().map(|c| self.row(*c)[*j]));
            if is_l1 {
                rows.push(-sign(*j));
                right.push(sign(*j) * dual - held[*j]);
            } else {
                right.push(-held[*j]);
            }
        }
        rows.extend(std::iter::repeat_n(1.0, k));
        rows.extend(is_l1.then_some(0.0));
        right.push(1.0 - crate::numeric::compensated_sum(lambda.iter().copied()));
        let delta = shortest(&rows, right.len(), width, &right);
        active.iter().zip(&delta).for_each(|(c, x)| lambda[*c] += x);
        self.pair(&theta, &lambda)
    }
}
