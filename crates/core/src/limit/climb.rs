//! The ascent: proximal steps on the model of the margins, kept where the network's own margin rises.

use std::ops::ControlFlow;

use super::pieces::{Pieces, keep};
use super::tangents::Tangents;
use super::two_layer::TwoLayer;
use super::{Ending, Look, Way};
use crate::numeric::{distance, dot, norm, scale};
use crate::quadratic::{Gram, Nnls};
use crate::{Breakdown, Problem};

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
/// Neurons that shrink and are shorter than this times ‖θ‖ count as dead: they add its square to a margin.
const SILENT: f64 = 1e-5;
/// Relative rounding of the programme at w = 1.
const UNRESOLVED: f64 = 3e-12;

/// The ascent with what it remembers from step to step.
pub(super) struct Climb<'a> {
    degree: f64,
    pieces: Box<dyn Pieces + 'a>,
    pub theta: Vec<f64>,
    /// λ of the cuts that `pieces` holds, and for how many programmes each has had none.
    lambda: Vec<f64>,
    idle: Vec<u32>,
    solver: Nnls,
    gram: Vec<f64>,
    stride: usize,
    weight: f64,
    pub steps: usize,
    /// Pieces with weight.
    count: usize,
    pub residual: f64,
    pub ln_rho: f64,
    /// The θ of the least residual, with it, and whether steps were taken on trust there.
    best: Option<(Vec<f64>, f64, bool)>,
}

impl<'a> Climb<'a> {
    pub fn new(problem: &'a Problem, degree: f64, theta: Vec<f64>) -> Climb<'a> {
        let pieces: Box<dyn Pieces + 'a> = match problem.model.neurons() {
            Some(two) => Box::new(TwoLayer::new(problem, two)),
            None => Box::new(Tangents::new(problem, degree)),
        };
        Climb::of(pieces, degree, theta)
    }

    /// The ascent on this model of the margins.
    pub fn of(pieces: Box<dyn Pieces + 'a>, degree: f64, theta: Vec<f64>) -> Climb<'a> {
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

    pub fn run(
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
    pub fn finish(&mut self, ending: Ending) -> Result<(), Breakdown> {
        let least = self.best.as_ref().map_or(f64::INFINITY, |(_, residual, _)| *residual);
        if let Some((theta, residual, true)) = self.best.take()
            && (residual < self.residual || ending == Ending::Stalled)
        {
            (self.theta, self.residual) = (theta, residual);
            self.centre()?;
        }
        let size = norm(&self.theta);
        if ending == Ending::Stalled {
            // What the last weight leaves of the programme is rounding, and its multipliers those of nothing.
            self.weight =
                self.weight.clamp((UNRESOLVED / least).min(1.0), 1.0).max(self.pieces.least_weight());
            self.weigh();
        }
        let (_, sum) = self.solve(size)?;
        if ending == Ending::Stalled {
            self.residual = distance(&sum, &self.theta) / size;
        }
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
        let flags: Vec<bool> = self.idle.iter().map(|idle| *idle <= most).collect();
        if flags.iter().all(|k| *k) {
            return;
        }
        self.pieces.retain(&flags);
        keep(&mut self.lambda, &flags);
        keep(&mut self.idle, &flags);
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
    use crate::kkt::least_margin;
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
