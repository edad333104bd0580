//! Non-negative least squares from normal equations: min ½λᵀGλ − bᵀλ over λ ≥ 0.
//!
//! With G = ⟨h_i, h_j⟩ and b = ⟨h_i, θ⟩ this fits θ by the cone of the h_i: ‖θ − Σλ_i h_i‖² = ‖θ‖² + 2·value. The
//! slope b − Gλ = ⟨h_i, residual⟩ is 0 where λ_i > 0 and ≤ 0 where λ_i = 0, and that is all of optimality.
//!
//! Lawson and Hanson's algorithm: the member that points most sharply along the residual joins; the weights move
//! towards the least-squares solution on the support, and members whose weight reaches 0 on the way leave.
//!
//! # References
//! Lawson & Hanson, *Solving Least Squares Problems* (1974), chapter 23

use super::{Gram, add_scaled, support::Support};

/// Relative slope up to which a member is content.
const TOLERANCE: f64 = 1e-12;

/// The solver, with its buffers. It remembers nothing between calls.
///
/// # Examples
/// θ = (1, −2) lies nearest to the cone of the unit vectors at (1, 0):
/// ```
/// use latephase_core::quadratic::{Gram, Nnls};
/// let mut solver = Nnls::new();
/// let fit = solver.solve(Gram::new(&[1.0, 0.0, 0.0, 1.0], 2, 2), &[1.0, -2.0], &[]);
/// assert_eq!(fit.lambda, [1.0, 0.0]);
/// assert_eq!((fit.value, fit.violation), (-0.5, 0.0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Nnls {
    support: Support,
    weights: Vec<f64>,
    target: Vec<f64>,
    /// b − Gλ.
    slopes: Vec<f64>,
    /// Members that may not join before the value falls again.
    closed: Vec<bool>,
    lambda: Vec<f64>,
}

/// Non-negative weights and their certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit<'a> {
    /// The weights, one for each member.
    pub lambda: &'a [f64],
    /// ½λᵀGλ − bᵀλ ≤ 0.
    pub value: f64,
    /// The largest |slope_i|/‖h_i‖ where λ_i > 0, or slope_i/‖h_i‖ where λ_i = 0, divided by the largest |b_i|/‖h_i‖:
    /// how far the residual is from optimal, in units of θ's longest projection on a member. Infinite when the
    /// problem is unbounded (b_i > 0 with h_i = 0) or not finite.
    pub violation: f64,
    /// Supports visited.
    pub iterations: usize,
}

impl Nnls {
    /// A solver with empty buffers.
    pub fn new() -> Self {
        Nnls::default()
    }

    /// Returns the non-negative weights of least value. `warm` are weights to start from: empty, or one for each
    /// of the first members.
    ///
    /// # Panics
    /// When `b` is not as long as `gram` has members, or `warm` is longer.
    pub fn solve(&mut self, gram: Gram<'_>, b: &[f64], warm: &[f64]) -> Fit<'_> {
        let k = gram.k();
        assert!(b.len() == k && warm.len() <= k, "{k} members, {} in b, {} warm", b.len(), warm.len());
        self.start(gram, warm);
        let projection = |i: usize| per_norm(b[i].abs(), gram.diagonal(i));
        let longest = (0..k).map(projection).filter(|x| x.is_finite()).fold(0.0, f64::max);
        let (mut value, mut violation, mut iterations, mut repairs) = (f64::INFINITY, f64::INFINITY, 0, 0);
        self.lambda.clear();
        self.lambda.resize(k, 0.0);
        self.descend(b);
        for _ in 0..10 * k + 50 {
            iterations += 1;
            let now = self.evaluate(gram, b);
            if !now.is_finite() {
                break;
            }
            let unrest = |i: usize, slope: f64| {
                let size = per_norm(slope, gram.diagonal(i));
                if size == 0.0 { 0.0 } else { size / longest }
            };
            let loose = self.support.ids.iter().map(|&i| unrest(i, self.slopes[i].abs())).fold(0.0, f64::max);
            let eager = (0..k).map(|i| unrest(i, self.slopes[i])).fold(loose, f64::max);
            let falls = !(now >= value - 4.0 * f64::EPSILON * value.abs());
            if falls || (now <= value && eager < violation) {
                (value, violation) = (now, eager);
                self.lambda.fill(0.0);
                self.support.ids.iter().zip(&self.weights).for_each(|(&i, &w)| self.lambda[i] = w);
            }
            if falls {
                self.closed.fill(false);
                self.support.ids.iter().for_each(|&i| self.closed[i] = true);
            }
            let open = (0..k).filter(|&i| !self.closed[i]).map(|i| (i, unrest(i, self.slopes[i])));
            let sharpest = open.fold((0, TOLERANCE), |a, b| if b.1 > a.1 { b } else { a });
            if sharpest.1 > TOLERANCE {
                self.join(gram, b, sharpest.0);
            } else if loose > TOLERANCE && repairs < 2 {
                repairs += 1;
                self.refine(b);
            } else {
                break;
            }
        }
        let finite =
            value.is_finite() && (0..k).all(|i| self.slopes[i].is_finite() && gram.diagonal(i).is_finite());
        let (value, violation) = if finite { (value, violation) } else { (f64::NAN, f64::INFINITY) };
        Fit { lambda: &self.lambda, value, violation, iterations }
    }

    fn start(&mut self, gram: Gram<'_>, warm: &[f64]) {
        let k = gram.k();
        self.support.reset(gram.unit(), 0.0);
        self.weights.clear();
        self.slopes.resize(k, 0.0);
        self.closed.clear();
        self.closed.resize(k, false);
        for (i, &w) in warm.iter().enumerate() {
            if w > 0.0 && w.is_finite() && self.support.admit(gram, i).is_ok() {
                self.weights.push(w);
            }
        }
    }

    /// Fills the slopes and returns the value.
    fn evaluate(&mut self, gram: Gram<'_>, b: &[f64]) -> f64 {
        self.slopes.copy_from_slice(b);
        for (&i, &w) in self.support.ids.iter().zip(&self.weights) {
            add_scaled(&mut self.slopes, -w, gram.row(i));
        }
        // ½λᵀGλ − bᵀλ = −½Σλ_i(b_i + slope_i).
        let terms = self.support.ids.iter().zip(&self.weights).map(|(&i, w)| w * (b[i] + self.slopes[i]));
        -0.5 * terms.sum::<f64>()
    }

    /// To the least-squares solution on the support, letting go of the members in the way.
    fn descend(&mut self, b: &[f64]) {
        loop {
            self.target.clear();
            self.target.extend(self.support.ids.iter().map(|&i| b[i] / self.support.unit));
            self.support.solve(&mut self.target);
            if self.support.advance(&mut self.weights, &mut self.target) {
                break;
            }
        }
    }

    /// Lets member `j` join, or take the place of one that it depends on.
    fn join(&mut self, gram: Gram<'_>, b: &[f64], j: usize) {
        self.closed[j] = true;
        match self.support.admit(gram, j) {
            Ok(()) => self.weights.push(0.0),
            Err(pivot) => {
                self.support.coordinates(&mut self.target);
                let slope = self.slopes[j] / self.support.unit;
                // Where nothing gets empty, b does not come from a θ beyond rounding.
                if !self.support.exchange(gram, j, &self.target, (slope, pivot), &mut self.weights) {
                    return;
                }
            }
        }
        self.descend(b);
    }

    /// One step of iterative refinement on the support.
    fn refine(&mut self, b: &[f64]) {
        self.target.clear();
        self.target.extend(self.support.ids.iter().map(|&i| self.slopes[i] / self.support.unit));
        self.support.solve(&mut self.target);
        add_scaled(&mut self.target, 1.0, &self.weights);
        if !self.support.advance(&mut self.weights, &mut self.target) {
            self.descend(b);
        }
    }
}

/// x/√square, with 0/0 = 0.
fn per_norm(x: f64, square: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x / square.max(0.0).sqrt() }
}

#[cfg(test)]
mod tests;
