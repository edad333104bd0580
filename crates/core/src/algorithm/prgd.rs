//! Progressive rescaling: gradient steps on ln 𝓛 on a sphere whose radius grows geometrically.
//!
//! Stage k holds ‖θ‖ ≤ R_k = factor^k R_0. It begins with θ ← R_k θ/‖θ‖ and takes steps
//!
//! θ ← P(θ − h ∇ ln 𝓛),   P the projection on the ball of radius R_k,
//!
//! until the gap ‖θ‖‖g‖ − ⟨θ, g⟩, g = −∇ ln 𝓛, is at most `gap`; or, where `stay` is set, T_k = growth^k·stay of them. Before the
//! data are separated it takes plain steps without a radius; R_0 is `factor` times the norm then.
//!
//! # Linear models
//! ln 𝓛 is convex there, so the gap is what ln 𝓛 can still fall by on the ball (Frank & Wolfe's). With Σ w = 1, ‖g‖ is a bound on
//! the maximum margin γ and ln(1/𝓛) ≤ q_min + ln n: at the end of a stage
//!
//! γ − q_min/R_k ≤ (gap + ln n)/R_k.
//!
//! Gradient descent waits for R to grow by a constant a step. Here it is multiplied at once. The active margins then differ by
//! `factor` times what they should, by numbers that do not depend on R, and a number of steps that does not depend on R
//! repairs that: the margin error falls by `factor` a stage. A fixed `stay` that is too short for the data falls behind for
//! good, for what the steps leave undone is multiplied at every rescaling.
//!
//! # Homogeneous networks
//! A stage moves towards a local maximum of ln(1/𝓛) on the sphere; the rescaling keeps the direction and multiplies ln(1/𝓛) by
//! factor^L. Neither the path nor the limit is that of gradient flow: relative sizes of layers move on the sphere, where the
//! flow conserves their differences. Nor is the rate exponential: lengths shrink with ρ^{2(L−1)}. At kinks the steps shrink
//! until rounding hides what they do, and the next stage begins; where stage after stage does nothing but that, the run ends
//! as *chattering*.
//!
//! # Accuracy
//! Margins of size ln(1/𝓛) are known to 2⁻⁵³ of that, and their differences decide the weights: beyond ln(1/𝓛) = 1e10 the weights
//! have fewer than six digits and the run ends as *precision exhausted*. On linear data the margin is then exact to some
//! 1e-11.
//!
//! # References
//! Wang, Min & Wu 2024: normalised gradient steps, projection to radius R_k, rescaling at times T_k, exponential rate on linear
//! separable data. Lengths that adapt and stages that end by the gap are ours; `eta` and `stay` fix both.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Algorithm;
use crate::catalogue::Entry;
use crate::cite::{Cite, WANG_2024};
use crate::norm::{AnyNorm, L2};
use crate::numeric::{axpy, dot, norm, scale};
use crate::pace::positive;
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

/// Part of the predicted fall that keeps a step.
const SERIOUS: f64 = 0.5;
/// Growth of h after a kept step, shrinkage after a refused one.
const GROW: f64 = 1.5;
const SHRINK: f64 = 0.5;
/// A step that predicts a fall below this part of |ln 𝓛| cannot be judged. Where that is the first length tried, the stage is
/// done: what ln 𝓛 can still fall by is of that size, and margins differ by what they should to its root.
const RESOLVED: f64 = 16.0 * f64::EPSILON;
/// Where ln(1/𝓛)·2⁻⁵³ leaves the weights fewer than six digits.
const DEEPEST: f64 = 1e10;
/// Stages in a row that refused every step.
const STUCK: u64 = 5;

/// Progressive rescaling in l2, full batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prgd {
    /// R_{k+1}/R_k; 2 by default. A larger one asks for more steps a stage.
    #[serde(default = "two")]
    pub factor: f64,
    /// The gap that ends a stage, in units of ln 𝓛; 1 by default.
    #[serde(default = "one")]
    pub gap: f64,
    /// T_0, kept steps in the first stage, in place of the gap; absent by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<u64>,
    /// T_{k+1}/T_k where `stay` is set; 1 by default, for which the error falls exponentially.
    #[serde(default = "one")]
    pub growth: f64,
    /// A fixed length on ∇ ln 𝓛, kept whatever it does, as in the paper; absent: a length that adapts to the fall of ln 𝓛.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    #[serde(skip)]
    running: Option<Running>,
}

fn two() -> f64 {
    2.0
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Debug)]
struct Running {
    /// The length to try next on ∇ ln 𝓛, and that at the stage's beginning.
    h: f64,
    first: f64,
    /// R_k; infinite before the data are separated.
    radius: f64,
    /// Kept steps left in this stage where `stay` counts, and T_k as a real number.
    left: u64,
    stay: f64,
    kept: u64,
    refused: u64,
    stages: u64,
    /// Kept steps in this stage; stages in a row that took none.
    here: u64,
    stuck: u64,
}

impl Prgd {
    /// Progressive rescaling by `factor` whenever the gap is at most `gap`.
    pub fn new(factor: f64, gap: f64) -> Self {
        Prgd { factor, gap, stay: None, growth: 1.0, eta: None, running: None }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("begin comes before step")
    }

    /// Ends the stage: θ ← R_{k+1} θ/‖θ‖. No time passes.
    fn rescale(&mut self, at: &mut Iterate) {
        let (factor, growth) = (self.factor, self.growth);
        let run = self.running.as_mut().expect("begin comes before step");
        let rho = norm(at.theta());
        run.radius = factor * if run.radius.is_finite() { run.radius } else { rho };
        let mut theta = at.theta().to_vec();
        scale(run.radius / rho, &mut theta);
        at.move_to(theta, None);
        at.clocks.advance(0.0, f64::NEG_INFINITY);
        if run.stages > 0 {
            run.stay *= growth;
        }
        run.first = run.h;
        (run.left, run.here, run.stages) = (run.stay.round() as u64, 0, run.stages + 1);
    }
}

/// What came of a step.
enum Tried {
    Kept,
    /// The first length predicts a fall that rounding hides.
    Settled,
    /// Lengths were refused until rounding hid the fall they predict.
    Refused,
}

impl Running {
    /// P(θ − h g) and the first-order fall ⟨g, θ − θ'⟩ of ln 𝓛.
    fn trial(&self, theta: &[f64], g: &[f64], h: f64) -> (Vec<f64>, f64) {
        let mut next = theta.to_vec();
        axpy(-h, g, &mut next);
        let rho = norm(&next);
        if rho > self.radius {
            scale(self.radius / rho, &mut next);
        }
        let change: Vec<f64> = theta.iter().zip(&next).map(|(a, b)| a - b).collect();
        let predicted = dot(g, &change);
        (next, predicted)
    }

    /// One step.
    fn descend(
        &mut self,
        problem: &Problem,
        at: &mut Iterate,
        eval: &Eval,
        eta: Option<f64>,
    ) -> Result<Tried, Breakdown> {
        if self.h == 0.0 {
            // A first guess that the judgement of steps corrects: a fall of ln 𝓛 by 1.
            self.h = eta.unwrap_or(1.0 / dot(&eval.grad, &eval.grad));
            self.first = self.h;
        }
        let mut tried = Tried::Settled;
        loop {
            let h = self.h;
            let (next, predicted) = self.trial(at.theta(), &eval.grad, h);
            if !(predicted > RESOLVED * eval.ln_loss.abs()) {
                return Ok(tried);
            }
            let trial = match at.trial(problem, &next, &RowSet::Full) {
                Ok(trial) => Some(trial),
                Err(Breakdown::Diverged { .. }) if eta.is_none() => None,
                Err(other) => return Err(other),
            };
            let fall = trial.as_ref().map_or(f64::NEG_INFINITY, |t| eval.ln_loss - t.ln_loss);
            let keep = eta.is_some() || fall >= SERIOUS * predicted;
            if let Some(trial) = trial.filter(|_| keep) {
                at.move_to(next, Some((&RowSet::Full, Arc::clone(&trial))));
                at.clocks.advance(h, h.ln() - eval.ln_loss);
                at.clocks.epoch += 1;
                self.h = if eta.is_some() { h } else { GROW * h };
                self.kept += 1;
                self.here += 1;
                return Ok(Tried::Kept);
            }
            self.h = SHRINK * h;
            self.refused += 1;
            tried = Tried::Refused;
        }
    }
}

/// ‖θ‖‖g‖ − ⟨θ, g⟩ for g = −∇ ln 𝓛: what a linear model can still lower ln 𝓛 by at this norm.
fn gap(theta: &[f64], grad: &[f64]) -> f64 {
    norm(theta) * norm(grad) + dot(theta, grad)
}

impl Algorithm for Prgd {
    fn begin(&mut self, _problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        if !(self.factor > 1.0 && self.factor.is_finite()) {
            let text = format!("{} is not allowed; use a number above 1", self.factor);
            return Err(Invalid::new("factor", text));
        }
        positive("gap", self.gap)?;
        if self.stay == Some(0) {
            return Err(Invalid::new("stay", "0 is too few; use at least 1 step between rescalings"));
        }
        if !(self.growth >= 1.0 && self.growth.is_finite()) {
            let text = format!("{} is not allowed; use a number of 1 or more", self.growth);
            return Err(Invalid::new("growth", text));
        }
        if let Some(eta) = self.eta {
            positive("eta", eta)?;
        }
        self.running = Some(Running {
            h: 0.0,
            first: 0.0,
            radius: f64::INFINITY,
            left: 0,
            stay: self.stay.unwrap_or(0) as f64,
            kept: 0,
            refused: 0,
            stages: 0,
            here: 0,
            stuck: 0,
        });
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let eval = at.eval(problem, &RowSet::Full)?;
        if eval.grad.iter().all(|g| *g == 0.0) {
            return Err(Breakdown::Stationary { what: "the gradient of ln of the loss is exactly 0".into() });
        }
        if eval.ln_loss.abs() > DEEPEST {
            let what = "margins of this size leave the weights of the examples less than four digits".into();
            return Err(Breakdown::Precision { what });
        }
        let (eta, counted) = (self.eta, self.stay.is_some());
        let run = self.running.as_mut().expect("begin comes before step");
        let separated = run.radius.is_finite() || eval.ln_loss_sum < problem.loss.ln_threshold();
        let mut done = match (run.radius.is_infinite(), counted) {
            (true, _) => separated,
            (false, true) => run.left == 0,
            (false, false) => gap(at.theta(), &eval.grad) <= self.gap,
        };
        if !done {
            match run.descend(problem, at, &eval, eta)? {
                Tried::Kept => {
                    run.left = run.left.saturating_sub(1);
                    return Ok(());
                }
                _ if !separated => {
                    let what = "no step lowers ln of the loss, and the data are not separated";
                    return Err(Breakdown::Stationary { what: what.into() });
                }
                Tried::Settled => done = true,
                Tried::Refused => {}
            }
        }
        run.stuck = if done || run.here > 0 { 0 } else { run.stuck + 1 };
        if run.stuck == STUCK {
            let step = run.h * norm(&eval.grad) / norm(at.theta());
            return Err(Breakdown::Chattering { step, floor: RESOLVED });
        }
        if !done {
            // h shrank at a point that the rescaling leaves.
            run.h = run.first;
        }
        self.rescale(at);
        Ok(())
    }

    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running();
        vec![("kept_steps", r.kept), ("refused_steps", r.refused), ("rescalings", r.stages)]
    }

    fn save(&self) -> State {
        let r = self.running();
        let mut state = State::default();
        state.put("numbers", &[r.h, r.first, r.radius, r.stay]);
        state.put_counts("counts", &[r.left, r.kept, r.refused, r.stages, r.here, r.stuck]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let r = self.running.as_mut().expect("begin comes before load");
        [r.h, r.first, r.radius, r.stay] = state.numbers("numbers")?;
        [r.left, r.kept, r.refused, r.stages, r.here, r.stuck] = state.counters("counts")?;
        Ok(())
    }
}

impl Entry for Prgd {
    const ABOUT: &'static str =
        "progressive rescaling: the maximum margin of linear data at an exponential rate";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[WANG_2024];
}
