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
//! programme over the cuts at hand is a non-negative least-squares problem over their Gram matrix ([`Nnls`]), whose size is
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

mod interior;
mod pieces;
mod tangents;
mod two_layer;

use std::ops::ControlFlow;

use crate::kkt::{Judgement, Multipliers, Point, Reach, least_margin};
use crate::numeric::{distance, dot, norm, scale};
use crate::quadratic::{Gram, Nnls};
use crate::{Breakdown, Degree, Problem};

use pieces::Pieces;
use tangents::Tangents;
use two_layer::TwoLayer;

/// Part of the promised fall that makes a step.
const SERIOUS: f64 = 0.1;
/// Factors of w after a step that fell short, and after a good one.
const GROW: f64 = 4.0;
const SHRINK: f64 = 0.3;
/// Rounds in which cuts join, for one step.
const CUTTING: usize = 300;
/// Cuts that have had no weight for this many programmes leave.
const IDLE: u32 = 4;
/// Steps without a smaller residual after which f64 has no more to give.
const PATIENCE: usize = 40;
/// Relative falls below this are rounding: steps are taken on trust.
const ROUNDING: f64 = 1e-13;
/// Weights up to which the dense methods of [`crate::kkt`] are used.
const UNKNOWNS: usize = 600;
/// Constraints within this of q_min, relatively, may have weight in a certificate.
const WITHIN: f64 = 1e-3;
/// Neurons that shrink and are shorter than this times ‖θ‖ count as dead: they add its square to a margin.
const SILENT: f64 = 1e-5;
/// Relative rounding of the programme at w = 1.
const UNRESOLVED: f64 = 3e-12;

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

/// A KKT point's certificate, computed at θ from the network itself.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// ‖θ‖ with q_min = 1.
    pub size: f64,
    /// The best multipliers with the best Clarke subgradients.
    pub fit: Multipliers,
    /// Constraints with weight.
    pub support: Vec<crate::loss::Constraint>,
    /// Their multipliers.
    pub lambda: Vec<f64>,
    /// Pre-activations at 0 of constraints with weight.
    pub kinks: usize,
    /// Maximum or saddle, where it has been asked for.
    pub judgement: Option<Judgement>,
}

impl Certificate {
    /// The certificate at θ: pre-activations of at most `kink`·‖v‖‖x‖ count as 0, constraints within a thousandth of q_min as
    /// tied. Two-layer networks of more than 600 weights have theirs by an interior-point method, to about 1e-8, and without
    /// a judgement. None where the data are not separated, where
    /// the model has no degree, and at kinks of networks of more than two layers.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn at(
        problem: &Problem,
        theta: &[f64],
        kink: f64,
        judge: bool,
    ) -> Result<Option<Certificate>, Breakdown> {
        let (Some(degree), q_min) = (problem.model.degree().order(), least_margin(problem, theta)?) else {
            return Ok(None);
        };
        if !(q_min > 0.0 && q_min.is_finite() && degree > 0.0) {
            return Ok(None);
        }
        if let (Some(two), true) = (problem.model.neurons(), problem.dim() > UNKNOWNS) {
            let mut theta = theta.to_vec();
            scale(q_min.powf(-1.0 / degree), &mut theta);
            let Some((constraints, fit, kinks)) = TwoLayer::new(problem, two).fit(&theta, WITHIN, kink)?
            else {
                return Ok(None);
            };
            let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
            let weighs = |k: &usize| fit.lambda[*k] > 1e-7 * largest;
            let support: Vec<usize> = (0..fit.lambda.len()).filter(weighs).collect();
            return Ok(Some(Certificate {
                size: norm(&theta),
                support: support.iter().map(|k| constraints[*k]).collect(),
                lambda: support.iter().map(|k| fit.lambda[*k]).collect(),
                fit,
                kinks,
                judgement: None,
            }));
        }
        let reach = Reach { within: WITHIN, most: 1024, kink };
        let Some(point) = Point::at(problem, theta, reach)? else { return Ok(None) };
        let Some(fit) = point.clarke() else { return Ok(None) };
        let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        let weighs = |k: usize| fit.lambda[k] > 1e-9 * largest;
        let support: Vec<usize> = (0..fit.lambda.len()).filter(|k| weighs(*k)).collect();
        let kinks = point.edges().iter().filter(|e| weighs(e.constraint)).count();
        let judgement = if judge { Some(point.judge()?) } else { None };
        Ok(Some(Certificate {
            size: norm(point.theta()),
            support: support.iter().map(|k| point.constraints()[*k]).collect(),
            lambda: support.iter().map(|k| fit.lambda[*k]).collect(),
            fit,
            kinks,
            judgement,
        }))
    }

    /// ε/‖θ‖.
    pub fn relative(&self) -> f64 {
        self.fit.epsilon / self.size
    }

    /// How fast the direction turns per unit of ln ρ at temperature zero, where all margins with weight are equal: the
    /// minimum-norm element has the angle φ with θ that sin φ = ε/‖θ‖ gives, and tan φ is the ratio of its parts.
    pub fn speed(&self) -> f64 {
        speed(self.relative())
    }
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
    let q_min = least_margin(problem, theta)?;
    if !(q_min > 0.0 && q_min.is_finite() && degree > 0.0) {
        return Ok(None);
    }
    let mut start = theta.to_vec();
    scale(q_min.powf(-1.0 / degree), &mut start);
    let mut climb = Climb::new(problem, degree, start.clone());
    let ending = climb.run(how, watch)?;
    climb.finish(ending)?;
    let (steps, residual, ln_rho) = (climb.steps, climb.residual, climb.ln_rho);
    let mut found = climb.theta;
    let mut is_polished = false;
    if how.clock == f64::INFINITY
        && let Some(better) = polished(problem, &found, residual)?
    {
        (found, is_polished) = (better, true);
    }
    let cosine = (dot(&found, &start) / (norm(&found) * norm(&start))).clamp(-1.0, 1.0);
    // Small angles from the chord: the cosine loses half their digits.
    let chord = crate::numeric::scaled_distance(1.0 / norm(&found), &found, 1.0 / norm(&start), &start);
    let angle = if cosine > 0.5 { 2.0 * (0.5 * chord).min(1.0).asin() } else { cosine.acos() };
    Ok(Some(Found {
        ending,
        steps,
        residual,
        margin_before: norm(&start).powf(-degree),
        margin: least_margin(problem, &found)? / norm(&found).powf(degree),
        angle,
        is_polished,
        ln_rho,
        theta: found,
    }))
}

/// The point by Newton's method, where it finds one no further away and with no smaller a margin than the residual explains.
fn polished(problem: &Problem, theta: &[f64], residual: f64) -> Result<Option<Vec<f64>>, Breakdown> {
    if !(residual < 1e-2) || problem.dim() > UNKNOWNS {
        return Ok(None);
    }
    // Which constraints and kinks take part depends on what counts as near.
    for factor in [100.0, 10.0, 1000.0, 1.0] {
        let reach = Reach {
            kink: (factor * residual).clamp(1e-9, 1e-3),
            within: (factor * residual).clamp(1e-9, 0.03),
            ..Reach::default()
        };
        let Some(near) = Point::at(problem, theta, reach)? else { return Ok(None) };
        let Some(point) = near.polish()? else { continue };
        // Where curvature is missing, a residual ε may be √ε away from its point.
        let is_near = point.distance(theta) <= residual.max(1e-12).sqrt();
        let is_high = point.margin() >= near.margin() * (1.0 - 1e-12 - residual);
        if is_near && is_high {
            return Ok(Some(point.theta().to_vec()));
        }
    }
    Ok(None)
}

/// The ascent with what it remembers from step to step.
struct Climb<'a> {
    degree: f64,
    pieces: Box<dyn Pieces + 'a>,
    theta: Vec<f64>,
    /// λ of the cuts that `pieces` holds, and for how many programmes each has had none.
    lambda: Vec<f64>,
    idle: Vec<u32>,
    solver: Nnls,
    gram: Vec<f64>,
    stride: usize,
    weight: f64,
    steps: usize,
    /// Pieces with weight.
    count: usize,
    residual: f64,
    ln_rho: f64,
    /// The θ of the least residual, with it, and whether steps were taken on trust there.
    best: Option<(Vec<f64>, f64, bool)>,
}

impl<'a> Climb<'a> {
    fn new(problem: &'a Problem, degree: f64, theta: Vec<f64>) -> Climb<'a> {
        let pieces: Box<dyn Pieces + 'a> = match problem.model.neurons() {
            Some(two) => Box::new(TwoLayer::new(problem, two)),
            None => Box::new(Tangents::new(problem, degree)),
        };
        Climb {
            degree,
            pieces,
            theta,
            lambda: Vec::new(),
            idle: Vec::new(),
            solver: Nnls::new(),
            gram: Vec::new(),
            stride: 0,
            weight: 1.0,
            steps: 0,
            count: 0,
            residual: f64::INFINITY,
            ln_rho: 0.0,
            best: None,
        }
    }

    fn run(
        &mut self,
        how: &Way,
        watch: &mut dyn FnMut(&Look) -> ControlFlow<()>,
    ) -> Result<Ending, Breakdown> {
        let (mut best, mut since, mut promise) = (f64::INFINITY, 0, None);
        let least_weight = self.pieces.least_weight().max(1.0 / how.clock);
        self.weight = self.weight.max(least_weight);
        self.centre()?;
        while self.steps < how.steps {
            self.steps += 1;
            let size = norm(&self.theta);
            let (x, sum) = self.solve(size)?;
            let step: Vec<f64> = x.iter().zip(&self.theta).map(|(x, t)| x - t).collect();
            let moved = norm(&step);
            if moved > how.kappa * size {
                self.weight = 1.1 * (self.weight + 0.05) * moved / (how.kappa * size);
                self.weigh();
                promise = None;
                continue;
            }
            let before = std::mem::replace(&mut self.residual, distance(&sum, &self.theta) / size);
            let look = Look {
                step: self.steps,
                residual: self.residual,
                margin: size.powf(-self.degree),
                pieces: self.count,
                weight: self.weight,
                ln_rho: self.ln_rho,
            };
            let is_done = self.residual <= how.tolerance;
            // −⟨θ, d⟩ − ½⟨d, (B − w)d⟩.
            let bent = dot(&step, &sum) - dot(&step, &self.theta) - self.weight * moved * moved;
            let promised = -dot(&self.theta, &step) - 0.5 * bent;
            let least = self.pieces.least(&x)?;
            let mut to = x.clone();
            let is_separating = least > 0.0 && least.is_finite();
            if is_separating {
                scale(least.powf(-1.0 / self.degree), &mut to);
            }
            let fall = 0.5 * (size * size - dot(&to, &to));
            // A corrected model is held to what the plain one promised: it has the curvature twice.
            let promised = *promise.get_or_insert(promised);
            let used = self.weight;
            let by_trust = promised.abs() <= ROUNDING * size * size && is_separating;
            if by_trust && self.residual > 2.0 * best {
                // What f64 resolves of the programme is worse than the point is.
                self.weight = GROW * (self.weight + 0.01);
                self.weigh();
                promise = None;
                since += 1;
                if since > PATIENCE || watch(&look).is_break() {
                    break;
                }
                continue;
            }
            if self.residual < best {
                self.best = Some((self.theta.clone(), self.residual, by_trust));
            }
            if by_trust || (is_separating && fall >= SERIOUS * promised && fall > 0.0) {
                if (!by_trust && fall >= 0.7 * promised) || (by_trust && self.residual < 0.7 * before) {
                    // Rounding of the programme grows with 1/w.
                    let least = least_weight.max((UNRESOLVED / self.residual).min(1.0));
                    self.weight = (SHRINK * self.weight).max(least);
                }
                self.ln_rho += dot(&sum, &sum) / (used * dot(&x, &x));
                self.theta = to;
                self.centre()?;
                promise = None;
            } else if self.pieces.learn(&x)? {
                // The model of the next programme is right where this one was wrong.
            } else {
                self.weight = GROW * (self.weight + 0.01);
                self.weigh();
                promise = None;
            }
            if is_done {
                return Ok(Ending::Converged);
            }
            since += 1;
            if self.residual < 0.9 * best {
                since = 0;
            }
            best = best.min(self.residual);
            if watch(&look).is_break() {
                return Ok(Ending::Stopped);
            }
            if (by_trust && since > PATIENCE) || self.weight > 1e14 {
                break;
            }
        }
        Ok(if self.steps < how.steps { Ending::Stalled } else { Ending::Steps })
    }

    /// Goes back to the best point among those that differ by rounding, takes the kinks that carry weight to exactly 0, and
    /// what is left of dying neurons away.
    fn finish(&mut self, ending: Ending) -> Result<(), Breakdown> {
        if let Some((theta, residual, true)) = self.best.take()
            && (residual < self.residual || ending == Ending::Stalled)
        {
            (self.theta, self.residual) = (theta, residual);
            self.centre()?;
        }
        let size = norm(&self.theta);
        self.solve(size)?;
        self.pieces.settle(&self.lambda, SILENT * size, &mut self.theta);
        Ok(())
    }

    /// Moves the model to θ, with the cuts that carry weight.
    fn centre(&mut self) -> Result<(), Breakdown> {
        self.drop_idle(0);
        self.pieces.centre(&self.theta, &self.lambda)?;
        self.weigh();
        Ok(())
    }

    fn weigh(&mut self) {
        self.pieces.weigh(self.weight);
        self.stride = 0;
        self.gram.clear();
    }

    /// Cuts without weight for more than `most` programmes leave.
    fn drop_idle(&mut self, most: u32) {
        let keep: Vec<bool> = self.idle.iter().map(|idle| *idle <= most).collect();
        if keep.iter().all(|k| *k) {
            return;
        }
        self.pieces.retain(&keep);
        let mut k = keep.iter();
        self.lambda.retain(|_| k.next().copied().unwrap_or(true));
        let mut k = keep.iter();
        self.idle.retain(|_| k.next().copied().unwrap_or(true));
        self.stride = 0;
        self.gram.clear();
    }

    /// The inner products of all cuts; those that are there stay.
    fn grow_gram(&mut self) {
        let (k, stride) = (self.pieces.cuts(), self.stride);
        let known = self.gram.len().checked_div(stride).unwrap_or(0);
        if k > stride {
            let wider = (2 * k).max(64);
            let mut gram = vec![0.0; known * wider];
            for i in 0..known {
                gram[i * wider..i * wider + known]
                    .copy_from_slice(&self.gram[i * stride..i * stride + known]);
            }
            (self.gram, self.stride) = (gram, wider);
        }
        let stride = self.stride;
        self.gram.resize(k * stride, 0.0);
        for i in known..k {
            for j in 0..=i {
                let inner = self.pieces.inner(i, j);
                self.gram[i * stride + j] = inner;
                self.gram[j * stride + i] = inner;
            }
        }
    }

    /// The proximal point of the model, and Σ λ_k g_k.
    fn solve(&mut self, size: f64) -> Result<(Vec<f64>, Vec<f64>), Breakdown> {
        if let Some(answer) = self.pieces.proximal(size) {
            self.count = answer.pieces;
            return Ok((answer.x, answer.sum));
        }
        let (mut x, mut sum) = (self.theta.clone(), self.theta.clone());
        let (w, mut slack) = (self.weight, f64::INFINITY);
        for round in 0..CUTTING {
            let moved = distance(&x, &self.theta) / size;
            // The first cuts are those at θ itself.
            let allowed =
                if round == 0 { 0.3 } else { (1e-3 * w.min(1.0) * moved * moved).clamp(1e-14, 1e-3) };
            let (joined, least) = self.pieces.cut(&x, 1.0 - allowed, round == 0)?;
            let k = self.pieces.cuts();
            self.lambda.resize(k, 0.0);
            self.idle.resize(k, 0);
            if round > 0 && (joined == 0 || (1.0 - least >= slack && 1.0 - least < 1e-13)) {
                break;
            }
            slack = 1.0 - least;
            self.grow_gram();
            let b: Vec<f64> = (0..k).map(|i| self.pieces.right(i)).collect();
            let fit = self.solver.solve(Gram::new(&self.gram, k, self.stride), &b, &self.lambda);
            self.lambda.copy_from_slice(fit.lambda);
            self.pieces.combine(&self.lambda, &mut sum);
            self.pieces.towards(&sum, &mut x);
            for (idle, l) in self.idle.iter_mut().zip(&self.lambda) {
                *idle = if *l > 0.0 { 0 } else { *idle + 1 };
            }
            if k > 400 {
                self.drop_idle(IDLE);
            }
        }
        self.count = self.lambda.iter().filter(|l| **l > 0.0).count();
        Ok((x, sum))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::distr::Distribution;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::Data;
    use crate::loss::Exponential;
    use crate::model::{Architecture, Mlp};
    use crate::rng::stream;

    fn normals(seed: u64, name: &str, n: usize) -> Vec<f64> {
        let mut rng = stream(seed, name, 0);
        (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
    }

    #[test]
    fn cutting_planes_and_the_interior_point_method_take_the_same_step() {
        let (n, dim, width) = (12, 4, 8);
        let mut compared = 0;
        for seed in 0..10 {
            let model = Mlp { widths: vec![width], ..Mlp::default() }.assemble(&[dim], 1);
            let Ok(model) = model else { panic!("a model of {width} neurons") };
            let (x, theta) =
                (normals(seed, "limit.x", n * dim), normals(seed, "limit.theta", width * (dim + 1)));
            let mut outputs = vec![0.0; n];
            let rows = crate::Rows::new(&x, dim);
            if model.forward(&theta, rows, &mut outputs, &mut Default::default()).is_err() {
                continue;
            }
            // Labels by the network itself, so that it separates.
            let labels = outputs.iter().map(|f| u32::from(*f < 0.0)).collect();
            let Ok(data) = Data::new(x, labels, vec!["0".into(), "1".into()], vec![dim]) else { continue };
            let problem = Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None);
            let Ok(q_min) = least_margin(&problem, &theta) else { continue };
            if q_min < 1e-3 {
                continue;
            }
            let theta: Vec<f64> = theta.iter().map(|t| t / q_min.sqrt()).collect();
            let size = norm(&theta);
            let Some(neurons) = problem.model.neurons() else { panic!("two layers") };
            let mut two = TwoLayer::new(&problem, neurons);
            let mut climb = Climb::new(&problem, 2.0, theta.clone());
            for weight in [30.0, 3.0] {
                climb.weight = weight;
                assert!(climb.centre().is_ok() && two.centre(&theta, &[]).is_ok());
                two.weigh(weight);
                let (Ok((x, _)), Some(answer)) = (climb.solve(size), two.interior(size)) else {
                    panic!("seed {seed}: no answer")
                };
                let off = distance(&x, &answer.x) / distance(&x, &theta);
                assert!(off < 1e-2, "seed {seed}, w = {weight}: {off:e}");
                compared += 1;
            }
        }
        assert!(compared >= 6, "{compared}");
    }
}
