//! ℓ1 and ℓ∞: linear programmes over a growing set of constraints, and the equations of the active set.
//!
//! Clarabel's interior point is near the middle of the set of optima: a constraint is active where its multiplier exceeds
//! its slack, a coordinate bound by the norm where its part of the dual exceeds its own slack. The point and the multipliers
//! are then moved the shortest way to where the active conditions are equations, which f64 meets to rounding. Where the
//! partition is still blurred, the programme is solved again around the point, in the scale of the gap that is left.
//!
//! # References
//! A. M. Gleixner, D. E. Steffy, K. Wolter, *Iterative refinement for linear programming*, INFORMS J. on Computing 28 (2016)

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::NonnegativeConeT;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};

use super::equations::shortest;
use super::working::Working;
use super::{Constraints, Failure, Geometry, Optimum, verify};
use crate::numeric::dot;

/// A margin outside the working set violates the least one within it when it is smaller by more than this fraction.
const VIOLATED: f64 = 1e-11;
/// The same for a point as the interior point method leaves it.
const ROUGH: f64 = 1e-6;
/// Gap that is good enough to stop.
const CLOSED: f64 = 1e-12;
/// Programmes around the last point, each in the scale of the gap that it left.
const ZOOMS: usize = 3;
/// How far a step may go, in that scale: constraints beyond are left out.
const REACH: f64 = 1e5;
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
    let mut working = Working::nearest(a, euclidean, 3, FIRST);
    let mut best: Option<Optimum> = None;
    // As the interior point leaves them, constraints are enough to see which others are violated; only at the end the active
    // set is worth its equations.
    let mut is_rough = true;
    for _ in 0..ROUNDS {
        let programme = Programme::new(a, &working.ids, geometry);
        let Some(found) = (if is_rough { programme.rough() } else { programme.best() }) else { break };
        let lambda = working.spread(&found.lambda);
        let theta = programme.whole(a, &found.theta);
        let Ok(now) = verify(a, geometry, &theta, &lambda) else { break };
        let least = found.value * geometry.norm(&theta, a.shape());
        if best.as_ref().is_none_or(|b| now.gap() < b.gap()) {
            best = Some(now);
        }
        let within = if is_rough { ROUGH } else { VIOLATED };
        if !working.join_violated(&a.margins(&theta), least, within, FIRST) {
            if !is_rough {
                break;
            }
            is_rough = false;
        }
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

    /// The interior point's pair.
    fn rough(&self) -> Option<Pair> {
        let (theta, lambda) = self.interior_point(&vec![0.0; self.columns.len()], 1.0)?;
        self.pair(&theta, &lambda)
    }

    /// The interior point's pair, or what the equations of its active set make of it, whichever has the smaller gap; where
    /// that stays open, the same again around it, in its own scale.
    fn best(&self) -> Option<Pair> {
        let mut best = self.evened(self.rough()?);
        for _ in 0..ZOOMS {
            if best.gap < CLOSED {
                break;
            }
            let zoom = 1.0 / best.gap;
            let closer = self.interior_point(&best.theta, zoom).and_then(|(step, lambda)| {
                let theta: Vec<f64> = best.theta.iter().zip(&step).map(|(w, d)| w + d / zoom).collect();
                self.pair(&theta, &lambda)
            });
            match closer.map(|pair| self.evened(pair)) {
                Some(closer) if closer.gap < best.gap => best = closer,
                _ => break,
            }
        }
        Some(best)
    }

    /// What the equations of the active set make of a pair, where that is better.
    fn evened(&self, interior: Pair) -> Pair {
        let mut best = interior.clone();
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
        best
    }

    /// The step δ and the multipliers of max t subject to ⟨a_c, θ⟩ ≥ t and ‖θ‖ ≤ 1 at θ = `centre` + δ/`zoom`, as Clarabel solves
    /// it. Its tolerances are relative: in a scale where the gap that is left is of order 1, they are finer by as much. What is
    /// out of reach there is left out.
    fn interior_point(&self, centre: &[f64], zoom: f64) -> Option<(Vec<f64>, Vec<f64>)> {
        let d = self.columns.len();
        let largest = self.rows.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let margins = self.margins(centre);
        let least = margins.iter().copied().fold(f64::INFINITY, f64::min);
        let slack = |c: usize| zoom * (margins[c] - least) / largest;
        let kept: Vec<usize> = (0..self.n).filter(|c| slack(*c) <= REACH).collect();
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
        for c in &kept {
            let mut row: Vec<(usize, f64)> =
                self.row(*c).iter().enumerate().map(|(j, x)| (j, -x / largest)).collect();
            row.push((t, 1.0));
            add(&row, slack(*c));
        }
        let mut variables = d + 1;
        if self.geometry == Geometry::L1 {
            // |θ_j| ≤ s_j and Σ s_j ≤ 1; far from 0 |θ_j| is linear.
            let is_near = |j: &usize| zoom * centre[*j].abs() <= REACH;
            let mut sum: Vec<(usize, f64)> =
                (0..d).filter(|j| !is_near(j)).map(|j| (j, centre[j].signum())).collect();
            for j in (0..d).filter(is_near) {
                add(&[(j, 1.0), (variables, -1.0)], -zoom * centre[j]);
                add(&[(j, -1.0), (variables, -1.0)], zoom * centre[j]);
                sum.push((variables, 1.0));
                variables += 1;
            }
            let far = (0..d).filter(|j| !is_near(j)).map(|j| -centre[j].abs());
            add(&sum, zoom * crate::numeric::compensated_sum(std::iter::once(1.0).chain(far)));
        } else {
            for j in 0..d {
                for sign in [1.0, -1.0] {
                    let room = zoom * (1.0 - sign * centre[j]);
                    if room <= REACH {
                        add(&[(j, sign)], room);
                    }
                }
            }
        }
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
        let mut lambda = vec![0.0; self.n];
        kept.iter().zip(&solver.solution.z).for_each(|(c, z)| lambda[*c] = *z);
        Some((solver.solution.x[..d].to_vec(), lambda))
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
