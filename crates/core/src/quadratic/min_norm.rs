//! A proximal bundle step: min ½‖Σλ_k g_k‖² + cᵀλ over the simplex, from the Gram matrix of the g_k.
//!
//! With c = 0 the answer is the shortest vector of the convex hull. With c_k = e_k/h it is the dual of the proximal
//! point of a cutting-plane model: for e_k ≥ 0, how far the linearisation k lies above the current value,
//!
//! max_x min_k (e_k + ⟨g_k, x⟩) − ‖x‖²/2h  is attained at  x = h·d, d = Σλ_k g_k, and equals h·(½‖d‖² + cᵀλ).
//!
//! Put s = Gλ + c. The model rises by h·λᵀs, and λ is optimal when s_k ≥ λᵀs for all k. Wolfe's algorithm walks from
//! one *corral* to the next: a set of members whose affine hull has its minimiser in the interior of their convex
//! hull, where s is constant. While some s_k is below λᵀs, the least joins; λ moves towards the new affine minimiser,
//! and members whose weight reaches 0 on the way leave. The objective falls with every corral, so none comes twice.
//!
//! A constant added to c changes nothing but the objective, so c is taken from its least entry and 0 ≤ c.
//! A vertex bounds the optimum, v = min_k (‖g_k‖² + 2c_k) ≥ ‖d‖² + 2cᵀλ, and a member with weight has
//! c_k = λᵀs − ⟨g_k, d⟩ ≤ v + ‖g_k‖√v: what lies above that is idle, and whatever its c, no sum sees it.
//!
//! The gap λᵀs − min_k s_k ends below 1e-11·λᵀs, or a few roundings of Gλ where that is more. It is measured on G
//! and c: members that f64 cannot tell apart show in it.
//!
//! # References
//! P. Wolfe, *Finding the nearest point in a polytope*, Mathematical Programming 11 (1976);
//! C. Lemaréchal, *An extension of Davidon methods to non differentiable problems*, Mathematical Programming Study 3
//! (1975); K. Kiwiel, *Methods of Descent for Nondifferentiable Optimization* (1985), chapter 2

use super::{Gram, add_scaled, support::Support};
use crate::Invalid;
use crate::numeric::wide;

/// Relative gap at which a corral is accepted.
const TOLERANCE: f64 = 1e-11;
/// A slope below λᵀs by less than this many times ‖g_k‖·Σλ_i‖g_i‖ is rounding.
const NOISE: f64 = 16.0 * f64::EPSILON;

/// The solver, with its buffers and the factor of its last corral.
///
/// The last factor is kept and used again where it still describes the warm members up to one common scale (a
/// bundle whose members all grow by the same power of ρ); otherwise it is rebuilt. Its rounding depends on how it
/// came about: a run that must be resumed to the same bytes [`save`](Self::save)s it.
///
/// # Examples
/// Two orthogonal unit vectors meet halfway, and a third that points ahead of both carries no weight:
/// ```
/// use latephase_core::quadratic::{Gram, MinNorm};
/// let gram = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0];
/// let mut solver = MinNorm::new();
/// let answer = solver.solve(Gram::new(&gram, 3, 3), &[], &[]);
/// assert!((answer.lambda[0] - 0.5).abs() < 1e-15 && answer.lambda[2] == 0.0);
/// assert!((answer.norm_squared - 0.5).abs() < 1e-15 && answer.gap < 1e-15);
/// ```
/// A short step h makes the linearisation error of the second member, c = e/h, too dear:
/// ```
/// # use latephase_core::quadratic::{Gram, MinNorm};
/// # let gram = [1.0, 0.0, 0.0, 1.0];
/// # let mut solver = MinNorm::new();
/// let long = solver.solve(Gram::new(&gram, 2, 2), &[0.0, 0.5], &[]);
/// assert!((long.lambda[1] - 0.25).abs() < 1e-15 && (long.linear - 0.125).abs() < 1e-15);
/// let short = solver.solve(Gram::new(&gram, 2, 2), &[0.0, 5.0], &[]);
/// assert_eq!(short.lambda, [1.0, 0.0]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MinNorm {
    support: Support,
    weights: Vec<f64>,
    target: Vec<f64>,
    /// s = Gλ + c: the slope of the objective along each member.
    slopes: Vec<f64>,
    /// ‖d‖² and cᵀλ, where `slopes` are those of `weights`.
    known: Option<(f64, f64)>,
    norms: Vec<f64>,
    /// c above its least entry `base`; `flat` where it is all 0.
    linear: Vec<f64>,
    base: f64,
    flat: bool,
    /// Members that may not join before the objective falls again: those of the corral and those that changed nothing.
    closed: Vec<bool>,
    lambda: Vec<f64>,
}

/// A point of the simplex and its certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solution<'a> {
    /// The weights: non-negative, sum 1, one for each member.
    pub lambda: &'a [f64],
    /// ‖d‖² = λᵀGλ.
    pub norm_squared: f64,
    /// cᵀλ.
    pub linear: f64,
    /// λᵀs − min_k s_k ≥ 0 with s = Gλ + c. The objective is within `gap` of the least, and the best vector d* has
    /// ‖d − d*‖² ≤ gap. Infinite when G has entries that are not finite, or c entries that are NaN or −∞.
    pub gap: f64,
    /// Corrals visited.
    pub iterations: usize,
}

impl MinNorm {
    /// A solver without memory.
    pub fn new() -> Self {
        MinNorm::default()
    }

    /// Returns the simplex weights of least ½λᵀGλ + cᵀλ, with c = `linear`; empty stands for 0. Entries may be +∞:
    /// such members get no weight.
    ///
    /// `warm` holds the weights of the last call, mapped to the members of this one: it may be empty or end early
    /// (members beyond it are new), and need not sum to 1. It changes the cost, not the answer.
    ///
    /// # Panics
    /// When there are no members, more warm weights than members, or `linear` is neither empty nor one for each.
    pub fn solve(&mut self, gram: Gram<'_>, linear: &[f64], warm: &[f64]) -> Solution<'_> {
        let k = gram.k();
        assert!(k > 0 && warm.len() <= k, "{k} members, {} warm weights", warm.len());
        assert!(linear.is_empty() || linear.len() == k, "{k} members, {} linear terms", linear.len());
        self.norms.clear();
        // Rounding may leave a square just below 0; a NaN has to stay one.
        let square = |i: usize| if gram.diagonal(i) < 0.0 { 0.0 } else { gram.diagonal(i) };
        self.norms.extend((0..k).map(|i| square(i).sqrt()));
        self.slopes.resize(k, 0.0);
        self.base =
            if linear.is_empty() { 0.0 } else { linear.iter().copied().fold(f64::INFINITY, f64::min) };
        self.linear.clear();
        self.linear.extend(linear.iter().map(|c| c - self.base));
        self.linear.resize(k, 0.0);
        self.flat = self.linear.iter().all(|c| *c == 0.0);
        let twice = |i: usize| square(i) + 2.0 * self.linear[i];
        // The first of the best vertices; NaN is not good.
        let best = (1..k).fold(0, |a, b| if !(twice(b) >= twice(a)) && !twice(b).is_nan() { b } else { a });
        let bound = twice(best);
        let sound = self.norms.iter().all(|n| n.is_finite()) && self.linear.iter().all(|c| !c.is_nan());
        if !(sound && bound > 0.0 && bound.is_finite()) {
            return self.vertex(gram, best);
        }
        self.known = None;
        self.start(gram, warm, best, bound);
        self.walk(gram, best)
    }

    /// Forgets member `k`: its place is going to be another's, or stays empty, with an infinite linear term. Without this call the
    /// next answer is the same, at the price of a new factor.
    pub fn release(&mut self, k: usize) {
        self.support.release(k);
    }

    /// The memory as plain numbers, for a checkpoint.
    pub fn save(&self) -> Vec<f64> {
        self.support.save()
    }

    /// Takes what [`save`](Self::save) gave: the answers to come are then the same to the last bit.
    ///
    /// # Errors
    /// When the numbers cannot be a saved memory.
    pub fn load(&mut self, saved: &[f64]) -> Result<(), Invalid> {
        self.support.load(saved)
    }

    /// The answer at one member: no objective, or the way out when entries are not finite.
    fn vertex(&mut self, gram: Gram<'_>, k: usize) -> Solution<'_> {
        self.support.reset(1.0, 0.0);
        self.lambda.clear();
        self.lambda.resize(gram.k(), 0.0);
        self.lambda[k] = 1.0;
        let norm_squared = gram.diagonal(k).max(0.0);
        let finite = (0..gram.k()).all(|i| gram.row(i).iter().all(|x| x.is_finite()))
            && self.linear[k].is_finite()
            && self.linear.iter().all(|c| !c.is_nan());
        let value = norm_squared + self.linear[k];
        let least = gram.row(k).iter().zip(&self.linear).fold(value, |m, (x, c)| f64::min(m, x + c));
        let gap = if finite { value - least } else { f64::INFINITY };
        Solution {
            lambda: &self.lambda,
            norm_squared,
            linear: self.base + self.linear[k],
            gap,
            iterations: 0,
        }
    }

    /// Makes the support the positive warm weights, with as much of the last factor as describes them.
    fn start(&mut self, gram: Gram<'_>, warm: &[f64], best: usize, bound: f64) {
        let root = bound.sqrt();
        let idle = |k: usize| self.linear[k] > bound + self.norms[k] * root;
        let weight = |k: usize| warm.get(k).copied().filter(|w| *w > 0.0 && w.is_finite() && !idle(k));
        for position in (0..self.support.ids.len()).rev() {
            if weight(self.support.ids[position]).is_none() {
                self.support.dismiss(position);
            }
        }
        // Any shift will do that neither drowns the members near the optimum nor vanishes beside them.
        let shift = self.support.shift * self.support.unit / bound;
        if !(shift > 1e-3 && shift < 1e3 && self.support.describes(gram)) {
            self.support.reset(gram.unit(), bound / gram.unit());
        }
        self.closed.clear();
        self.closed.resize(gram.k(), false);
        for &i in &self.support.ids {
            self.closed[i] = true;
        }
        for k in 0..warm.len() {
            if weight(k).is_some() && !self.closed[k] {
                // A refusal only loses a part of the warm start.
                let _ = self.support.admit(gram, k);
            }
        }
        self.weights.clear();
        self.weights.extend(self.support.ids.iter().filter_map(|&i| weight(i)));
        if self.support.ids.is_empty() && self.support.admit(gram, best).is_ok() {
            self.weights.push(1.0);
        }
        normalise(&mut self.weights);
    }

    /// From corral to corral, until no slope is below λᵀs.
    fn walk(&mut self, gram: Gram<'_>, best: usize) -> Solution<'_> {
        let k = gram.k();
        let mut objective = f64::INFINITY;
        let (mut norm_squared, mut linear, mut gap) = (f64::INFINITY, 0.0, f64::INFINITY);
        let (mut iterations, mut repairs) = (0, 0);
        self.descend(gram);
        // Wolfe's walk takes about twice as many corrals as members carry weight: the cap is for rounding only.
        for _ in 0..10 * k + 50 {
            iterations += 1;
            let Some((square, cost)) = self.evaluate(gram) else { return self.vertex(gram, best) };
            let value = square + cost;
            let lengths = self.support.ids.iter().zip(&self.weights).map(|(&i, w)| w * self.norms[i]);
            let reach = NOISE * lengths.sum::<f64>();
            let least = self.slopes.iter().fold(value, |m, s| f64::min(m, *s));
            let twice = value + cost;
            let falls = twice < objective * (1.0 - 4.0 * f64::EPSILON);
            // The gap is of first order in what the weights miss and the objective of second: its roundings decide
            // nothing.
            if falls || (twice <= objective * (1.0 + 4.0 * f64::EPSILON) && value - least < gap) {
                objective = objective.min(twice);
                (norm_squared, linear, gap) = (square, cost, value - least);
                self.record(k);
            }
            if falls {
                self.closed.fill(false);
                self.support.ids.iter().for_each(|&i| self.closed[i] = true);
            }
            let excess = |k: usize| value - self.slopes[k] - (TOLERANCE * value).max(reach * self.norms[k]);
            let open = (0..k).filter(|&k| !self.closed[k] && excess(k) > 0.0);
            let worst = open.fold(None, |a: Option<usize>, b| match a {
                Some(a) if self.slopes[a] <= self.slopes[b] => Some(a),
                _ => Some(b),
            });
            let loose = self.support.ids.iter().any(|&i| excess(i) > 0.0);
            match worst {
                Some(j) => self.join(gram, j),
                // The corral's own slopes should all be λᵀs: what they miss is the rounding of the factor.
                None if loose && repairs < 3 => {
                    self.repair(gram, value, repairs == 1);
                    repairs += 1;
                }
                None => break,
            }
        }
        Solution { lambda: &self.lambda, norm_squared, linear: self.base + linear, gap, iterations }
    }

    /// Fills the slopes and returns ‖d‖² and cᵀλ, where everything is finite.
    fn evaluate(&mut self, gram: Gram<'_>) -> Option<(f64, f64)> {
        let (ids, slopes) = (&self.support.ids, &mut self.slopes);
        wide(|| {
            slopes.fill(0.0);
            // Four rows at a time: the slopes are read and written once for them.
            let whole = ids.len() - ids.len() % 4;
            for k in (0..whole).step_by(4) {
                let rows: [&[f64]; 4] = std::array::from_fn(|j| &gram.row(ids[k + j])[..slopes.len()]);
                let w: [f64; 4] = std::array::from_fn(|j| self.weights[k + j]);
                for i in 0..slopes.len() {
                    let first = w[0] * rows[0][i] + w[1] * rows[1][i];
                    slopes[i] += first + (w[2] * rows[2][i] + w[3] * rows[3][i]);
                }
            }
            for k in whole..ids.len() {
                add_scaled(slopes, self.weights[k], gram.row(ids[k]));
            }
        });
        let members = || self.support.ids.iter().zip(&self.weights);
        let square = members().map(|(&i, w)| w * self.slopes[i]).sum::<f64>().max(0.0);
        let cost = members().map(|(&i, w)| w * self.linear[i]).sum::<f64>();
        if !(square.is_finite() && cost.is_finite() && self.slopes.iter().all(|s| s.is_finite())) {
            return None;
        }
        add_scaled(&mut self.slopes, 1.0, &self.linear);
        self.known = Some((square, cost));
        self.known
    }

    fn record(&mut self, k: usize) {
        self.lambda.clear();
        self.lambda.resize(k, 0.0);
        for (&i, &w) in self.support.ids.iter().zip(&self.weights) {
            self.lambda[i] = w;
        }
    }

    /// Wolfe's minor cycle: to the affine minimiser, letting go of the members in the way.
    fn descend(&mut self, gram: Gram<'_>) {
        while self.aim(gram) {
            self.known = None;
            if self.support.advance(&mut self.weights, &mut self.target) {
                break;
            }
        }
        if self.known.is_none() {
            normalise(&mut self.weights);
        }
    }

    /// Writes the affine minimiser; returns whether there is one.
    fn aim(&mut self, gram: Gram<'_>) -> bool {
        self.target.clear();
        if self.flat {
            self.target.resize(self.support.ids.len(), 1.0);
            self.support.solve(&mut self.target);
            return normalise(&mut self.target);
        }
        // (G + shift·eeᵀ)δ = μe − s with Σδ = 0. Measured from λ the rounding shrinks with the step; from scratch it
        // would be that of (G + shift·eeᵀ)⁻¹e, which can be huge where the minimiser is not.
        let Some((square, cost)) = self.known.or_else(|| self.evaluate(gram)) else { return false };
        let Support { ids, unit, .. } = &self.support;
        self.target.extend(ids.iter().map(|&i| (square + cost - self.slopes[i]) / unit));
        self.support.solve_level(&mut self.target);
        let missing = -self.target.iter().sum::<f64>();
        add_scaled(&mut self.target, 1.0 + missing, &self.weights);
        self.target.iter().all(|t| t.is_finite()) && self.target.iter().any(|t| *t > 0.0)
    }

    /// Lets member `j` join the corral, or take the place of one that it depends on.
    fn join(&mut self, gram: Gram<'_>, j: usize) {
        self.closed[j] = true;
        match self.support.admit(gram, j) {
            Ok(()) => self.weights.push(0.0),
            Err(pivot) => {
                self.known = None;
                self.support.coordinates(&mut self.target);
                // Scaled to sum 1, the coordinates keep λ in the simplex. G does not see the transfer, c does.
                if !normalise(&mut self.target) {
                    return;
                }
                let given = self.support.ids.iter().zip(&self.target).map(|(&i, z)| z * self.slopes[i]);
                let slope = (given.sum::<f64>() - self.slopes[j]) / self.support.unit;
                if !self.support.exchange(gram, j, &self.target, (slope, pivot), &mut self.weights) {
                    return;
                }
                normalise(&mut self.weights);
            }
        }
        self.descend(gram);
    }

    /// Moves on to the affine minimiser that one step of iterative refinement gives, with a new factor if asked.
    fn repair(&mut self, gram: Gram<'_>, value: f64, anew: bool) {
        self.known = None;
        if anew {
            let (unit, shift) = (self.support.unit, self.support.shift);
            let ids = std::mem::take(&mut self.support.ids);
            self.support.reset(unit, shift);
            let weights = std::mem::take(&mut self.weights);
            for (i, w) in ids.into_iter().zip(weights) {
                if self.support.admit(gram, i).is_ok() {
                    self.weights.push(w);
                }
            }
            normalise(&mut self.weights);
            return self.descend(gram);
        }
        if !self.flat {
            return self.descend(gram);
        }
        // At the minimiser Gλ = ‖d‖²e on the corral. The correction δ solves (G + shift·eeᵀ)δ = ‖d‖²e − Gλ; its
        // part along e only rescales λ, which normalising undoes.
        let Support { ids, unit, .. } = &self.support;
        self.target.clear();
        self.target.extend(ids.iter().map(|&i| (value - self.slopes[i]) / unit));
        self.support.solve(&mut self.target);
        add_scaled(&mut self.target, 1.0, &self.weights);
        if normalise(&mut self.target) && !self.support.advance(&mut self.weights, &mut self.target) {
            self.descend(gram);
        }
    }
}

/// Scales to sum 1; returns whether that was possible.
fn normalise(v: &mut [f64]) -> bool {
    let sum: f64 = v.iter().sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return false;
    }
    v.iter_mut().for_each(|x| *x /= sum);
    true
}

#[cfg(test)]
mod proximal_tests;
#[cfg(test)]
mod tests;
