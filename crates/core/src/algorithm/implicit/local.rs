//! The margins around a point, as the programme of a step sees them.
//!
//! Around p every loss is a softmin of its margin constraints to first order,
//!
//! > F(x) = F(p) − ln Σ_c ω_c e^{−s(q_c(x) − q_c(p))}, ω_c = w_c/s, s = Σ_c w_c
//!
//! with w_c = −∂ ln 𝓛/∂q_c: exact for the exponential loss, where s = 1, and late for every loss. What curves beside the
//! softmin is left to p, which has to be near x.

use crate::loss::Constraint;
use crate::quadratic::shares::{Shares, Weights};
use crate::{Breakdown, Eval, Problem};

/// Weights below this are told from the margins.
const FAINT: f64 = 1e-250;

/// Constraints in play at a point.
pub(super) struct Play {
    /// Their places in the list of all constraints.
    pub places: Vec<usize>,
    /// Themselves.
    pub list: Vec<Constraint>,
    /// −ln ω_c.
    pub offsets: Vec<f64>,
    /// s.
    pub slope: f64,
}

impl Play {
    /// Those whose part of the loss is within `nats` of the largest. `inputs` names the examples again for every step.
    pub fn of(problem: &Problem, eval: &Eval, nats: f64) -> Play {
        let all = problem.constraints(eval);
        let slope: f64 = all.iter().map(|c| c.weight).sum();
        let largest =
            all.iter().fold((0.0, 0.0), |m, c| if c.weight > m.0 { (c.weight, c.value) } else { m });
        let offset = |c: &Constraint| {
            if c.weight > FAINT {
                -(c.weight / slope).ln()
            } else {
                c.value - largest.1 - (largest.0 / slope).ln()
            }
        };
        let most = nats - (largest.0 / slope).ln();
        let mut play = Play { places: Vec::new(), list: Vec::new(), offsets: Vec::new(), slope };
        for (place, c) in all.iter().enumerate() {
            let offset = offset(c);
            if offset <= most {
                play.places.push(place);
                play.list.push(*c);
                play.offsets.push(offset);
            }
        }
        play
    }
}

/// The margins in play around p, to first order and with what kinks they are known to have.
pub(super) trait Local {
    /// G of the gradients at p and of the kinks in play.
    fn matrix(&self) -> &Shares;
    /// b at the centre of the step.
    fn linear(&self) -> &Weights;
    /// The shares of the kinks in play to start from.
    fn shares(&self) -> &[f64];
    /// Σ λ_c g_c + Σ μ_e k_e.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn combine(&mut self, y: &Weights) -> Result<Vec<f64>, Breakdown>;
    /// Lets the kinks join that x has crossed, where the model is above the network by more than `allowed` in all, weighted
    /// with λ; `shares` are those of the kinks so far. How many joined.
    fn join(&mut self, x: &[f64], y: &Weights, shares: &[f64], allowed: f64) -> usize;
    /// The kinks whose share has come to lie between 0 and 1: (place of the constraint, neuron, share).
    fn between(&self, y: &Weights, shares: &[f64]) -> Vec<(usize, usize, f64)>;
    /// Passes over the examples since the last call, in units of an evaluation of all.
    fn passes(&mut self) -> f64;
}
