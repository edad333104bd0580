//! (Stochastic) gradient descent with steps of constant size on 𝓛: its identities step by step, and criticality on the
//! sphere (Schechtman & Schreuder 2025).
//!
//! With u = θ/ρ, m the least margin, γ the step size on the batch mean and λ_i = ℓ'(p_i)/Σℓ'(p_j):
//!
//! - a step from w changes the norm by ‖w'‖² = ‖w‖² − (2Lγ/n_b)Σ_B ℓ'(p_i)p_i + (γ²/n_b²)‖Σ_B ℓ'(p_i)a_i‖² (their
//!   equation 30), exactly, so that ‖w‖ grows as soon as every p_i > 0;
//! - u_{k+1} = u_k + γ̄_k ḡ_k^s + noise + O(γ̄_k²) with ḡ^s the tangent part of ḡ = Σλ_i a_i/ρ^{L−1} and the effective step
//!   γ̄ = (γ/n)ρ^{L−2}Σ|ℓ'(p_j)|, where their equations 17 and 18 lack the 1/n;
//! - m(u_k) converges and u_k tends to the critical points of m on the sphere (Theorem 5), where 0 is a convex combination
//!   of the tangent gradients of the active margins. No rate, no monotonicity and no uniqueness are claimed.
//!
//! The theorem is for batches drawn afresh and independently at every step. With several classes, i runs over pairs of an
//! example and a wrong class, and λ is normalised over all of them.

use serde::{Deserialize, Serialize};

use super::near::gram;
use super::{Context, Probe, Row, Snapshot, StepRecord};
use crate::algorithm::Taken;
use crate::catalogue::Entry;
use crate::cite::{Cite, SCHECHTMAN_2025};
use crate::loss::{Constraint, Reduction};
use crate::numeric::{axpy, compensated_sum, dot, norm};
use crate::quadratic::{Gram, MinNorm};
use crate::{Invalid, Problem, RowSet, State};

/// Per step, since the last look:
///
/// | column | what it is |
/// |---|---|
/// | `norm_identity` | largest mismatch of equation 30, relative to ‖w'‖² |
/// | `norm_increment` | largest mismatch of the increments formed directly: \|⟨w, ∇𝓛_B⟩ + LΣwp\|·2 relative to the increment of ‖w‖² per unit of rate, which no rounding of w hides |
/// | `norm_decreases` | steps since the start at which ‖w‖ fell, beyond rounding, although every p_i > 0 on the batch |
///
/// `norm_identity` and `norm_increment` are NaN unless every step since the last look was a gradient step
/// θ' = θ − e^{ln_rate}∇𝓛 with an exact degree. That is decided by comparing θ' with the planned step, to a few roundings of
/// each entry and to the digits that e^{ln_rate + ln 𝓛} has; a step that θ's rounding swallows fits any plan, and the identity
/// too.
///
/// At looks:
///
/// | column | what it is |
/// |---|---|
/// | `ln_effective_step` | ln γ̄ with the rate of the last step that f64 could hold; NaN before the first |
/// | `softmax_excess` | max_i ln λ_i + (p_i − m): at most 0 for the exponential loss; once every p ≥ 0, at most ln 2 for the logistic loss and ln k for cross-entropy of k classes. Weights below f64's range are left out |
/// | `tangent_gradient` | ‖ḡ^s‖, an upper bound of the distance to criticality |
/// | `criticality` | min over λ in the simplex of ‖Σλ_i(g_i − ⟨g_i, u⟩u)‖, g_i = ∇p_i(u), over the ε-active set p_i(u) ≤ m(u) + ε with ε = `within`·\|m(u)\| |
/// | `criticality_support` | margins with positive λ in it |
/// | `norm_power` | ρ^L |
/// | `norm_power_over_ln_step` | ρ^L/ln k at step k: in a bounded band (Proposition 3); NaN until k = 2 |
///
/// What needs a degree is NaN without one. The critical set is closed and `criticality` is of one gradient for each
/// example at u itself: at a direction with ReLU kinks on active examples it need not go to 0, though u tends to Z_s.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Width ε of the active set relative to m(u), 0.03 by default: the critical set is closed, and margins that are equal
    /// in the limit differ at any finite step.
    #[serde(default = "three_hundredths")]
    pub within: f64,
    /// Most margins in the active set, the least ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    #[serde(skip)]
    degree: Option<f64>,
    #[serde(skip)]
    seen: Seen,
}

/// What steps have shown.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    /// Largest mismatches since the last look; −1 before the first step.
    identity: f64,
    increment: f64,
    /// Steps since the last look that were no gradient steps.
    others: u64,
    decreases: u64,
    /// ln γ of the last step.
    ln_step: f64,
    /// Memory for a step.
    margins: Vec<Constraint>,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            identity: -1.0,
            increment: -1.0,
            others: 0,
            decreases: 0,
            ln_step: f64::NAN,
            margins: Vec::new(),
        }
    }
}

fn three_hundredths() -> f64 {
    0.03
}

fn most() -> usize {
    128
}

const COLUMNS: [&str; 10] = [
    "norm_identity",
    "norm_increment",
    "norm_decreases",
    "ln_effective_step",
    "softmax_excess",
    "tangent_gradient",
    "criticality",
    "criticality_support",
    "norm_power",
    "norm_power_over_ln_step",
];

impl Default for Sgd {
    fn default() -> Self {
        Sgd { within: three_hundredths(), most: most(), degree: None, seen: Seen::default() }
    }
}

impl Probe for Sgd {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0 && self.within.is_finite()) {
            return Err(Invalid::new("within", format!("{} is not allowed; use 0 or more", self.within)));
        }
        if self.most == 0 {
            return Err(Invalid::new("most", "0 is not allowed; use at least 1 margin"));
        }
        let degree = context.problem.model.degree();
        self.degree = if degree.is_exact() { degree.order() } else { None };
        self.seen = Seen::default();
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn follows_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &StepRecord<'_>) {
        match (step.taken, self.degree) {
            (Some(taken), Some(degree)) if is_gradient_step(step, taken) => {
                self.seen.gradient_step(step, taken, degree);
            }
            _ => self.seen.others += 1,
        }
        // A length below f64's range has lost its rate.
        if let Some(taken) = step.taken.filter(|t| rate(t) * norm(&t.eval.grad) >= f64::MIN_POSITIVE) {
            self.seen.ln_step = ln_step_size(step.problem, taken);
        }
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let seen = &mut self.seen;
        let known = |x: f64| if seen.others == 0 && x >= 0.0 { x } else { f64::NAN };
        row.put("norm_identity", known(seen.identity));
        row.put("norm_increment", known(seen.increment));
        row.put("norm_decreases", seen.decreases as f64);
        (seen.identity, seen.increment, seen.others) = (-1.0, -1.0, 0);

        let degree = at.problem.model.degree().order().unwrap_or(f64::NAN);
        let sum = compensated_sum(at.constraints().iter().map(|c| c.weight));
        let n = at.problem.train.n() as f64;
        // Σ|ℓ'| = 𝓛_sum·Σw.
        let ln_slopes = at.full.ln_loss_sum + sum.ln();
        row.put("ln_effective_step", seen.ln_step - n.ln() + (degree - 2.0) * at.rho.ln() + ln_slopes);
        row.put("softmax_excess", softmax_excess(at.constraints(), sum));
        let shrink = at.rho.powf(1.0 - degree);
        let mut mean: Vec<f64> = at.full.grad.iter().map(|g| -g * (shrink / sum)).collect();
        tangent(&mut mean, at);
        row.put("tangent_gradient", norm(&mean));
        let (residual, support) = self.criticality(at, shrink);
        row.put("criticality", residual);
        row.put("criticality_support", support);
        let power = at.height(degree);
        row.put("norm_power", power);
        let steps = at.clocks.step as f64;
        row.put("norm_power_over_ln_step", if steps >= 2.0 { power / steps.ln() } else { f64::NAN });
    }

    fn save(&self) -> State {
        let seen = &self.seen;
        let mut state = State::default();
        state.put("seen", &[seen.identity, seen.increment, seen.ln_step]);
        state.put_counts("counts", &[seen.others, seen.decreases]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let seen = &mut self.seen;
        [seen.identity, seen.increment, seen.ln_step] = state.numbers("seen")?;
        [seen.others, seen.decreases] = state.counters("counts")?;
        Ok(())
    }
}

/// e^{ln_rate}·𝓛: what multiplies ∇ ln 𝓛 in a gradient step.
pub(super) fn rate(taken: &Taken) -> f64 {
    (taken.ln_rate + taken.eval.ln_loss).exp()
}

/// Whether θ' = θ − e^{ln_rate}∇𝓛, entry by entry.
pub(super) fn is_gradient_step(step: &StepRecord<'_>, taken: &Taken) -> bool {
    let rate = rate(taken);
    // The exponent's own rounding is a relative error of the rate.
    let digits = f64::EPSILON * (8.0 + taken.ln_rate.abs() + taken.eval.ln_loss.abs());
    let size = digits * rate * norm(&taken.eval.grad);
    step.before.iter().zip(step.after).zip(&taken.eval.grad).all(|((before, after), g)| {
        let planned = rate * g;
        ((after - before) + planned).abs() <= size + f64::EPSILON * (before.abs() + after.abs())
    })
}

/// ln γ of a step: the rate on the batch mean, whatever the reduction.
fn ln_step_size(problem: &Problem, taken: &Taken) -> f64 {
    match problem.loss.reduction() {
        Reduction::Mean => taken.ln_rate,
        Reduction::Sum => taken.ln_rate + (problem.count(&taken.rows) as f64).ln(),
    }
}

/// The margins of the step's rows before it, with their weights −∂ ln 𝓛_B/∂p.
fn margins(problem: &Problem, taken: &Taken, list: &mut Vec<Constraint>) {
    let RowSet::Batch(_, indices) = &taken.rows else {
        return problem.constraints_into(&taken.eval, list);
    };
    let k = problem.model.outputs();
    list.clear();
    for (row, &example) in indices.iter().enumerate() {
        let (span, label) = (row * k..(row + 1) * k, problem.train.labels()[example]);
        let (out, cot) = (&taken.eval.outputs[span.clone()], &taken.eval.cotangent[span]);
        problem.loss.constraints(example, label, out, cot, list);
    }
}

impl Seen {
    fn gradient_step(&mut self, step: &StepRecord<'_>, taken: &Taken, degree: f64) {
        let (rate, grad) = (rate(taken), &taken.eval.grad);
        margins(step.problem, taken, &mut self.margins);
        let margins = &self.margins;
        // −(2Lγ/n_b)Σℓ'p and (γ²/n_b²)‖Σℓ'a‖², both per unit of `rate`.
        let first = 2.0 * degree * compensated_sum(margins.iter().map(|c| c.weight * c.value));
        let second = rate * dot(grad, grad);
        let (before, after) = (dot(step.before, step.before), dot(step.after, step.after));
        let identity = ((after - before) - rate * (first + second)).abs() / after;
        let increment = (first + 2.0 * dot(step.before, grad)).abs() / (first + second).abs();
        self.identity = largest(self.identity, identity);
        self.increment = largest(self.increment, increment);
        let moved = step.before.iter().zip(step.after).map(|(a, b)| (b - a) * (b + a));
        // Rounding θ' to f64 changes ‖θ'‖² by up to 2⁻⁵² of it.
        let fell = compensated_sum(moved) < -2.0 * f64::EPSILON * before;
        if fell && margins.iter().all(|c| c.value > 0.0) {
            self.decreases += 1;
        }
    }
}

/// The larger one, NaN if either is.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// max_i ln λ_i + (p_i − m).
fn softmax_excess(constraints: &[Constraint], sum: f64) -> f64 {
    let least = constraints.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let resolved = constraints.iter().filter(|c| c.weight >= f64::MIN_POSITIVE);
    resolved.map(|c| (c.weight / sum).ln() + (c.value - least)).fold(f64::NEG_INFINITY, f64::max)
}

/// v ← v − ⟨v, u⟩u.
fn tangent(v: &mut [f64], at: &Snapshot<'_>) {
    let radial = dot(v, at.theta) / at.rho;
    axpy(-radial / at.rho, at.theta, v);
}

impl Sgd {
    /// The residual and the number of margins that carry it.
    fn criticality(&self, at: &Snapshot<'_>, shrink: f64) -> (f64, f64) {
        let Some(near) = at.near(self.within, self.most) else { return (f64::NAN, f64::NAN) };
        if !shrink.is_finite() {
            return (f64::NAN, f64::NAN);
        }
        let mut tangents = near.gradients.clone();
        for g in &mut tangents {
            crate::numeric::scale(shrink, g);
            tangent(g, at);
        }
        let gram = gram(&tangents);
        let k = tangents.len();
        let mut solver = MinNorm::new();
        let lambda = solver.solve(Gram::new(&gram, k, k), &[], &[]).lambda;
        // From the vectors: the square root of a rounded Gram form would lose half the digits.
        let mut residual = vec![0.0; at.theta.len()];
        lambda.iter().zip(&tangents).for_each(|(l, g)| axpy(*l, g, &mut residual));
        (norm(&residual), lambda.iter().filter(|l| **l > 0.0).count() as f64)
    }
}

impl Entry for Sgd {
    const ABOUT: &'static str = "norm identity, effective step and criticality of constant-step SGD";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[SCHECHTMAN_2025];
}
