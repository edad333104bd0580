//! The KKT point that a direction is heading for: by the flow at temperature zero, or without following it there.
//!
//! For a homogeneous network the late phase raises the normalised margin, and ends at KKT points of min ½‖θ‖² subject to
//! q_i(θ) ≥ 1. The flow gets there in the clock ln ρ. The short cut takes proximal steps on the problem itself: with θ scaled
//! to q_min = 1 it solves
//!
//! > min ⟨θ, d⟩ + ½⟨d, B d⟩ over x = θ + d with q̂_i(x) ≥ 1 for all i,
//!
//! where q̂_i is a model of q_i around θ and B = (1 + w)I, less what curvature of Σ λ_i q_i is known, and takes x, scaled to q_min = 1 again, when ½‖θ‖² falls by a fair part of what the
//! model promises; otherwise w grows. What makes it end at kinks is that the model keeps them:
//!
//! - For two-layer networks with a piecewise linear activation a pre-activation is linear in θ, so that the model has σ itself
//!   wherever σ costs margin (∂q/∂σ times the jump of σ′ below 0): there q̂_i is concave, the programme convex, and a kink
//!   that attracts is met with a slope between the two one-sided ones. Where σ gains margin, a kink that repels, the model
//!   has the tangent of the side that θ is on: a lower bound, and a choice of side.
//! - For other networks the model is the tangent at θ, and at kinks of the activation the tangents met nearby, as in a bundle
//!   (see [`crate::algorithm::Bundle`]), but constraint by constraint: no temperature.
//!
//! The programme is solved by cutting planes: a cut of a concave q̂_i is linear, ⟨g_k, x⟩ ≥ b_k, and the dual of the
//! programme over the cuts at hand is a non-negative least-squares problem over their Gram matrix ([`Nnls`](crate::quadratic::Nnls)), whose size is
//! the number of support vectors and kinks, not of parameters. Where kinks are many, each has a multiplier of its own instead,
//! between 0 and that of its constraint, and an interior-point method uses that neurons are orthogonal. At its end B(x − θ) = Σ λ_k g_k − θ: the step is the KKT
//! residual in another metric.
//!
//! With B = (1 + w)I − M, M the curvature of Σ λ_i q_i, the step is d = (Σ λ_k g_k − x)/w with the right-hand side at its end:
//! an implicit Euler step of length 1/w of θ′ = Σ λ_i g_i − θ, the flow at temperature zero brought back to q_min = 1. There
//! ln ρ grows by ‖Σ λ_i g_i‖²/‖θ‖² per unit of length, as ∂q_i(θ)·θ = L q_i says. So the same steps, kept short, are the flow
//! in the clock ln ρ, and long ones the short cut to its end: [`Way`].
//!
//! Where no curvature is known, w ≥ 1: the exchange between the layers of a neuron has curvature −1 in Σ λ_i ∇²q_i at a KKT
//! point, so that with w = 0 the steps would swap the layers' norms for ever, while with w = 1 one step balances them. Of
//! two-layer networks with a piecewise linear activation the curvature is in B, neuron by neuron: neurons of the same
//! direction may trade their sizes at a KKT point, and steps that do not know it take for ever to put one out.
//!
//! # References
//! Prox-linear steps: Drusvyatskiy & Lewis 2018; cutting planes with a proximal term: Lemaréchal 1975, Kiwiel 1985.

mod certificate;
mod climb;
mod interior;
mod pieces;
mod steepest;
mod tangents;
mod two_layer;

use std::ops::ControlFlow;

use crate::kkt::{Point, Reach, least_margin};
use crate::numeric::{angle, norm, scale};
use crate::{Breakdown, Degree, Problem};

use climb::Climb;

pub use certificate::Certificate;
pub use steepest::{Steepest, steepest};

/// Weights up to which the dense methods of [`crate::kkt`] are used.
const UNKNOWNS: usize = 600;
/// How far on the sphere Newton's method may lead. Where the curvature is c a residual ε may be √(ε/c) away from its point, and
/// near saddles c is small: 1.2e-2 has been met at ε = 8e-6.
const REACH: f64 = 0.05;

/// How to get to the KKT point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// The residual ‖θ − Σ λ_i h_i‖/‖θ‖ to end at.
    pub tolerance: f64,
    /// Most steps.
    pub steps: usize,
    /// Longest step as a part of ‖θ‖.
    pub kappa: f64,
    /// Longest step in ln ρ; infinite where only the end counts.
    pub clock: f64,
}

impl Way {
    /// To the end in long steps, and Newton's method there: to 1e-10, in 2,000 steps of at most a tenth of ‖θ‖.
    pub fn short_cut() -> Way {
        Way { tolerance: 1e-10, steps: 2000, kappa: 0.1, clock: f64::INFINITY }
    }

    /// The flow at temperature zero in the clock ln ρ, in implicit steps of at most a hundredth of ‖θ‖ and a quarter of ln ρ,
    /// until it turns by less than 1e-3 per unit of ln ρ.
    pub fn flow() -> Way {
        Way { tolerance: 1e-3, steps: 100_000, kappa: 0.01, clock: 0.25 }
    }
}

/// What one who watches is told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Steps tried.
    pub step: usize,
    /// ‖θ − Σ λ_k g_k‖/‖θ‖, the residual with the model's multipliers.
    pub residual: f64,
    /// q_min/‖θ‖^L.
    pub margin: f64,
    /// Pieces of the margins with weight: constraints, and kinks between them.
    pub pieces: usize,
    /// w.
    pub weight: f64,
    /// What ln ρ has grown by, in the clock of the flow.
    pub ln_rho: f64,
}

impl Look {
    /// How fast the direction turns per unit of ln ρ, by the residual: see [`Certificate::speed`].
    pub fn speed(&self) -> f64 {
        speed(self.residual)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The residual is below the tolerance.
    Converged,
    /// The residual no longer falls: f64 has no more to give, or kinks are in the way that the model does not know.
    Stalled,
    /// Out of steps.
    Steps,
    /// The one who watched wanted it to end.
    Stopped,
}

impl Ending {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Converged => "converged",
            Ending::Stalled => "stalled",
            Ending::Steps => "out-of-steps",
            Ending::Stopped => "stopped",
        }
    }
}

/// Where the short cut led.
#[derive(Clone, Debug)]
pub struct Found {
    /// θ scaled to q_min = 1.
    pub theta: Vec<f64>,
    /// How it ended.
    pub ending: Ending,
    /// Steps tried.
    pub steps: usize,
    /// The last residual, by the model's multipliers.
    pub residual: f64,
    /// q_min/‖θ‖^L at the start.
    pub margin_before: f64,
    /// And at the end.
    pub margin: f64,
    /// Angle between the directions at the start and at the end, in radians.
    pub angle: f64,
    /// Whether Newton's method had the last word.
    pub is_polished: bool,
    /// What ln ρ has grown by, in the clock of the flow: to the order of the steps.
    pub ln_rho: f64,
}

/// tan φ from sin φ.
fn speed(sine: f64) -> f64 {
    let sine = sine.min(1.0);
    sine / (1.0 - sine * sine).sqrt()
}

/// Goes to the KKT point that θ is heading for, by the flow or by the short cut. None where the model is not exactly homogeneous (take its
/// [homogenization](crate::model::Model::homogenized)), and where θ does not separate the data. `watch` may end it after any step; what has been reached is returned.
///
/// # Errors
/// Only models that run foreign code fail.
///
/// # Examples
/// One neuron that two examples share: from nearby to the maximum ½·¼.
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::Arc;
/// use latephase_core::limit::{Certificate, Way, follow};
/// use latephase_core::loss::Logistic;
/// use latephase_core::model::{Architecture, Mlp};
/// use latephase_core::{Data, Problem};
/// let side = (15.0f64 / 16.0).sqrt();
/// let data = Data::new(vec![side, 0.25, -side, 0.25], vec![0, 0], vec!["+".into(), "-".into()], vec![2])?;
/// let model = Mlp { widths: vec![1], ..Mlp::default() }.assemble(&[2], 1)?;
/// let problem = Problem::new(model, Box::new(Logistic::default()), Arc::new(data), None);
/// let found = follow(&problem, &[0.1, 3.0, 1.0], &Way::short_cut(), &mut |_| ControlFlow::Continue(()))?.unwrap();
/// assert!((found.margin - 0.125).abs() < 1e-12);
/// let certificate = Certificate::at(&problem, &found.theta, 1e-6, true)?.unwrap();
/// assert!(certificate.fit.epsilon < 1e-9 && certificate.fit.delta < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn follow(
    problem: &Problem,
    theta: &[f64],
    how: &Way,
    watch: &mut dyn FnMut(&Look) -> ControlFlow<()>,
) -> Result<Option<Found>, Breakdown> {
    let &Degree::Exact { degree } = problem.model.degree() else { return Ok(None) };
    let Some(start) = separating(problem, theta, degree)? else { return Ok(None) };
    let mut climb = Climb::new(problem, degree, start.clone());
    let ending = climb.run(how, watch)?;
    climb.finish(ending)?;
    let (steps, ln_rho) = (climb.steps, climb.ln_rho);
    let (mut found, mut residual, mut ending) = (climb.theta, climb.residual, ending);
    let mut is_polished = false;
    if how.clock == f64::INFINITY
        && let Some((better, left)) = polished(problem, &found, residual)?
    {
        (found, residual, is_polished) = (better, left, true);
        if residual <= how.tolerance {
            ending = Ending::Converged;
        }
    }
    Ok(Some(Found {
        ending,
        steps,
        residual,
        margin_before: norm(&start).powf(-degree),
        margin: least_margin(problem, &found)? / norm(&found).powf(degree),
        angle: angle(&found, &start),
        is_polished,
        ln_rho,
        theta: found,
    }))
}

/// θ scaled to q_min = 1; None where it does not separate the data.
fn separating(problem: &Problem, theta: &[f64], degree: f64) -> Result<Option<Vec<f64>>, Breakdown> {
    let q_min = least_margin(problem, theta)?;
    if !(q_min > 0.0 && q_min.is_finite() && degree > 0.0) {
        return Ok(None);
    }
    let mut theta = theta.to_vec();
    scale(q_min.powf(-1.0 / degree), &mut theta);
    Ok(Some(theta))
}

/// The point by Newton's method with its residual: the nearest that it finds, within [`REACH`] and with no smaller a margin than
/// the residual explains.
fn polished(problem: &Problem, theta: &[f64], residual: f64) -> Result<Option<(Vec<f64>, f64)>, Breakdown> {
    if !(residual < 1e-2) || problem.dim() > UNKNOWNS {
        return Ok(None);
    }
    let (mut best, mut nearest) = (None, REACH);
    // Which constraints and kinks take part depends on what counts as near.
    for factor in [100.0, 10.0, 1000.0, 1.0] {
        let reach = Reach {
            kink: (factor * residual).clamp(1e-9, 1e-3),
            within: (factor * residual).clamp(1e-9, 0.03),
            ..Reach::default()
        };
        let Some(near) = Point::at(problem, theta, reach)? else { return Ok(None) };
        let Some(point) = near.polish()? else { continue };
        let is_high = point.margin() >= near.margin() * (1.0 - 1e-12 - residual);
        let distance = point.distance(theta);
        if is_high && distance < nearest {
            nearest = distance;
            best = point.clarke().map(|fit| (point.theta().to_vec(), fit.epsilon / norm(point.theta())));
        }
        if nearest <= residual.max(1e-12).sqrt() {
            break;
        }
    }
    Ok(best)
}
