//! The shortest vector of a convex hull: min ‖Σλ_k g_k‖² over the simplex, from the Gram matrix of the g_k.
//!
//! Wolfe's algorithm walks from one *corral* to the next: a set of members whose affine hull has its shortest
//! point d in the interior of their convex hull. d is the answer when no member lies on its near side,
//! ⟨g_k, d⟩ ≥ ‖d‖² for all k; otherwise the worst offender joins, d moves towards the new affine minimiser, and
//! members whose weight reaches 0 on the way leave. ‖d‖ falls with every corral, so none comes twice.
//!
//! # Accuracy
//! The gap is at most 1e-11·‖d‖², or a few roundings of Gλ where that is more; it is measured, so members that f64
//! cannot tell apart show in it.
//!
//! # References
//! P. Wolfe, *Finding the nearest point in a polytope*, Mathematical Programming 11 (1976)

use super::{Gram, add_scaled, support::Support};
use crate::Invalid;

/// Relative gap at which a corral is accepted.
const TOLERANCE: f64 = 1e-11;
/// A slope below ‖d‖² by less than this many times ‖g_k‖·Σλ_i‖g_i‖ is rounding.
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
/// let answer = solver.solve(Gram::new(&gram, 3, 3), &[]);
/// assert!((answer.lambda[0] - 0.5).abs() < 1e-15 && answer.lambda[2] == 0.0);
/// assert!((answer.norm_squared - 0.5).abs() < 1e-15 && answer.gap < 1e-15);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MinNorm {
    support: Support,
    weights: Vec<f64>,
    target: Vec<f64>,
    /// Gλ: the slope of ½‖d‖² along each member.
    slopes: Vec<f64>,
    norms: Vec<f64>,
    /// Members that may not join before ‖d‖ falls again: those of the corral and those that changed nothing.
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
    /// ‖d‖² − min_k (Gλ)_k ≥ 0. The shortest vector d* has ‖d − d*‖² ≤ gap. Infinite when G has entries that are
    /// not finite.
    pub gap: f64,
    /// Corrals visited.
    pub iterations: usize,
}

impl MinNorm {
    /// A solver without memory.
    pub fn new() -> Self {
        MinNorm::default()
    }

    /// Returns the simplex weights of least norm.
    ///
    /// `warm` holds the weights of the last call, mapped to the members of this one: it may be empty or end early
    /// (members beyond it are new), and need not sum to 1. It changes the cost, not the answer.
    ///
    /// # Panics
    /// When there are no members, or more warm weights than members.
    pub fn solve(&mut self, gram: Gram<'_>, warm: &[f64]) -> Solution<'_> {
        let k = gram.k();
        assert!(k > 0 && warm.len() <= k, "{k} members, {} warm weights", warm.len());
        self.norms.clear();
        self.norms.extend((0..k).map(|i| gram.diagonal(i).max(0.0).sqrt()));
        self.slopes.resize(k, 0.0);
        let shortest = (0..k).fold(0, |a, b| if gram.diagonal(b) < gram.diagonal(a) { b } else { a });
        if !(self.norms[shortest] > 0.0 && self.norms.iter().all(|n| n.is_finite())) {
            return self.vertex(gram, shortest);
        }
        self.start(gram, warm, shortest);
        self.walk(gram)
    }

    /// Forgets member `k`, which the caller has removed; those after it move down by one. Without this call the
    /// next answer is the same, at the price of a new factor.
    pub fn forget(&mut self, k: usize) {
        self.support.forget(k);
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

    /// The answer at one member: a zero vector, or the way out when entries are not finite.
    fn vertex(&mut self, gram: Gram<'_>, k: usize) -> Solution<'_> {
        self.support.reset(1.0, 0.0);
        self.lambda.clear();
        self.lambda.resize(gram.k(), 0.0);
        self.lambda[k] = 1.0;
        let norm_squared = gram.diagonal(k).max(0.0);
        let finite = (0..gram.k()).all(|i| gram.row(i).iter().all(|x| x.is_finite()));
        let least = gram.row(k).iter().fold(norm_squared, |m, x| f64::min(m, *x));
        let gap = if finite { norm_squared - least } else { f64::INFINITY };
        Solution { lambda: &self.lambda, norm_squared, gap, iterations: 0 }
    }

    /// Makes the support the positive warm weights, with as much of the last factor as describes them.
    fn start(&mut self, gram: Gram<'_>, warm: &[f64], shortest: usize) {
        let weight = |k: usize| warm.get(k).copied().filter(|w| *w > 0.0 && w.is_finite());
        for position in (0..self.support.ids.len()).rev() {
            if weight(self.support.ids[position]).is_none() {
                self.support.dismiss(position);
            }
        }
        let least = gram.diagonal(shortest);
        // Any shift will do that neither drowns the smallest member nor vanishes beside it.
        let shift = self.support.shift * self.support.unit / least;
        if !(shift > 1e-3 && shift < 1e3 && self.support.describes(gram)) {
            self.support.reset(gram.unit(), least / gram.unit());
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
        if self.support.ids.is_empty() && self.support.admit(gram, shortest).is_ok() {
            self.weights.push(1.0);
        }
        normalise(&mut self.weights);
    }

    /// From corral to corral, until no member lies on the near side.
    fn walk(&mut self, gram: Gram<'_>) -> Solution<'_> {
        let k = gram.k();
        let (mut norm_squared, mut gap) = (f64::INFINITY, f64::INFINITY);
        let (mut iterations, mut repairs) = (0, 0);
        self.descend();
        // Wolfe's walk takes about twice as many corrals as members carry weight: the cap is for rounding only.
        for _ in 0..10 * k + 50 {
            iterations += 1;
            let value = self.evaluate(gram);
            let reach: f64 = NOISE
                * self.support.ids.iter().zip(&self.weights).map(|(&i, w)| w * self.norms[i]).sum::<f64>();
            let least = self.slopes.iter().fold(value, |m, s| f64::min(m, *s));
            if !(value.is_finite() && self.slopes.iter().all(|s| s.is_finite())) {
                return self
                    .vertex(gram, (0..k).fold(0, |a, b| if self.norms[b] < self.norms[a] { b } else { a }));
            }
            let falls = value < norm_squared * (1.0 - 4.0 * f64::EPSILON);
            if falls || (value <= norm_squared && value - least < gap) {
                (norm_squared, gap) = (value, value - least);
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
                Some(j) => self.join(gram, j, value),
                // The corral's own slopes should all be ‖d‖²: what they miss is the rounding of the factor.
                None if loose && repairs < 3 => {
                    self.repair(gram, value, repairs == 1);
                    repairs += 1;
                }
                None => break,
            }
        }
        Solution { lambda: &self.lambda, norm_squared, gap, iterations }
    }

    /// Fills the slopes and returns ‖d‖².
    fn evaluate(&mut self, gram: Gram<'_>) -> f64 {
        self.slopes.fill(0.0);
        for (&i, &w) in self.support.ids.iter().zip(&self.weights) {
            add_scaled(&mut self.slopes, w, gram.row(i));
        }
        let terms = self.support.ids.iter().zip(&self.weights).map(|(&i, w)| w * self.slopes[i]);
        terms.sum::<f64>().max(0.0)
    }

    fn record(&mut self, k: usize) {
        self.lambda.clear();
        self.lambda.resize(k, 0.0);
        for (&i, &w) in self.support.ids.iter().zip(&self.weights) {
            self.lambda[i] = w;
        }
    }

    /// Wolfe's minor cycle: to the affine minimiser, letting go of the members in the way.
    fn descend(&mut self) {
        loop {
            self.target.clear();
            self.target.resize(self.support.ids.len(), 1.0);
            self.support.solve(&mut self.target);
            if !normalise(&mut self.target) || self.support.advance(&mut self.weights, &mut self.target) {
                break;
            }
        }
        normalise(&mut self.weights);
    }

    /// Lets member `j` join the corral, or take the place of one that it depends on.
    fn join(&mut self, gram: Gram<'_>, j: usize, value: f64) {
        self.closed[j] = true;
        match self.support.admit(gram, j) {
            Ok(()) => self.weights.push(0.0),
            Err(pivot) => {
                self.support.coordinates(&mut self.target);
                let slope = (value - self.slopes[j]) / self.support.unit;
                // Scaled to sum 1, the coordinates keep λ in the simplex.
                let changed = normalise(&mut self.target)
                    && self.support.exchange(gram, j, &self.target, (slope, pivot), &mut self.weights);
                if !changed {
                    return;
                }
                normalise(&mut self.weights);
            }
        }
        self.descend();
    }

    /// Moves on to the affine minimiser that one step of iterative refinement gives, with a new factor if asked.
    fn repair(&mut self, gram: Gram<'_>, value: f64, anew: bool) {
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
            return self.descend();
        }
        // At the minimiser Gλ = ‖d‖²e on the corral. The correction δ solves (G + shift·eeᵀ)δ = ‖d‖²e − Gλ; its
        // part along e only rescales λ, which normalising undoes.
        let Support { ids, unit, .. } = &self.support;
        self.target.clear();
        self.target.extend(ids.iter().map(|&i| (value - self.slopes[i]) / unit));
        self.support.solve(&mut self.target);
        add_scaled(&mut self.target, 1.0, &self.weights);
        if normalise(&mut self.target) && !self.support.advance(&mut self.weights, &mut self.target) {
            self.descend();
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
mod tests;
