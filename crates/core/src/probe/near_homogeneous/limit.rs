//! The homogenized network f_H beside f: how far apart they are, and the KKT conditions of f_H's margin problem.

use crate::loss::Constraint;
use crate::model::{Model, Tape};
use crate::numeric::{distance, norm};
use crate::probe::Snapshot;
use crate::probe::kkt::{Scale, fit};
use crate::probe::near::{NUMBERS, Near, gram};
use crate::rng::stream;
use crate::{Breakdown, Rows};
use rand::distr::Distribution;
use rand_distr::StandardNormal;

/// Rows that are evaluated at once.
const ROWS: usize = 256;

/// Farthest distance of sampled points from u, of norm 1.
const FARTHEST: f64 = 0.1;

/// Most gradients in a fit over sampled points.
const SAMPLED: usize = 1024;

/// What a look says of f_H. Everything is at u = θ/ρ, where q_H(θ) = ρ^M q_H(u).
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// γ̄_H = min q_H(u).
    pub margin: f64,
    /// max_i ‖f_i − f_{H,i}‖₂ at θ.
    pub gap: f64,
    /// ‖θ̃ − Σ λ_i ∇q_{H,i}(θ̃)‖₂ with λ ∝ the weights of the loss, and with fitted λ; NaN until the margin is positive.
    pub epsilon: f64,
    pub epsilon_fit: f64,
    /// The same over gradients at u and at sampled points within `radius` of it, and that over ‖θ̃‖.
    pub epsilon_sampled: f64,
    pub relative: f64,
    pub radius: f64,
    /// max ‖∇q_i(θ)/ρ^{M−1} − ∇q_{H,i}(u)‖₂ over the fitted constraints.
    pub gradient_gap: f64,
}

impl Limit {
    /// Measures.
    pub fn measure(
        model: &dyn Model,
        order: f64,
        at: &Snapshot<'_>,
        settings: &Settings,
    ) -> Result<Limit, Breakdown> {
        let (k, problem) = (model.outputs(), at.problem);
        let unit: Vec<f64> = at.theta.iter().map(|t| t / at.rho).collect();
        let height = at.height(order);
        let x = problem.train.rows();
        let (mut outputs, mut grad) = (vec![0.0; x.n() * k], vec![0.0; unit.len()]);
        let mut tape = Tape::default();
        for (c, out) in outputs.chunks_mut(ROWS * k).enumerate() {
            let rows = x.slice(c * ROWS, (c * ROWS + ROWS).min(x.n()));
            let cot = &at.full.cotangent[c * ROWS * k..][..out.len()];
            model.forward(&unit, rows, out, &mut tape)?;
            model.pullback(&unit, rows, &mut tape, cot, Some(&mut grad), None)?;
        }
        let pairs = at.full.outputs.chunks(k).zip(outputs.chunks(k));
        let gap = pairs.map(|(f, h)| f.iter().zip(h).map(|(f, h)| (f - height * h).powi(2)).sum::<f64>());
        let gap = gap.fold(0.0, f64::max).sqrt();

        let mut constraints = Vec::with_capacity(at.constraints().len());
        for (i, &label) in problem.train.labels().iter().enumerate() {
            let span = i * k..(i + 1) * k;
            let cot = &at.full.cotangent[span.clone()];
            problem.loss.constraints(i, label, &outputs[span], cot, &mut constraints);
        }
        let margin = constraints.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
        let unknown = f64::NAN;
        let mut limit = Limit {
            margin,
            gap,
            epsilon: unknown,
            epsilon_fit: unknown,
            epsilon_sampled: unknown,
            relative: unknown,
            radius: unknown,
            gradient_gap: unknown,
        };
        if !(margin > 0.0) {
            return Ok(limit);
        }
        let scale = Scale { rho: 1.0, q_min: margin, degree: order };
        limit.epsilon = scale.along(&unit, &grad, -1.0, &constraints).0;
        let band = margin * (1.0 + settings.within);
        constraints.retain(|c| c.value <= band);
        constraints.sort_by(|a, b| {
            a.value.total_cmp(&b.value).then(a.example.cmp(&b.example)).then(a.rival.cmp(&b.rival))
        });
        constraints.truncate(settings.most.min((NUMBERS / unit.len().max(1)).max(1)));
        let gradients = gradients(model, at, &unit, &constraints)?;
        let mut near = Near { gram: gram(&gradients), constraints, gradients };
        limit.epsilon_fit = fit(&unit, &near, &scale).0;
        let shrink = at.rho.powf(1.0 - order);
        limit.gradient_gap = 0.0;
        for (constraint, of_limit) in near.constraints.iter().zip(&near.gradients) {
            let mut own = problem.margin_gradient(at.theta, constraint)?;
            crate::numeric::scale(shrink, &mut own);
            limit.gradient_gap = limit.gradient_gap.max(distance(&own, of_limit));
        }
        let reach = settings.spread * (unit.len() as f64).sqrt() / (settings.inputs * at.rho);
        limit.radius = reach.min(FARTHEST);
        settings.sample(model, at, &unit, limit.radius, &mut near)?;
        limit.epsilon_sampled = fit(&unit, &near, &scale).0;
        limit.relative = limit.epsilon_sampled * margin.powf(1.0 / order);
        Ok(limit)
    }
}

/// How the KKT conditions of f_H are fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Relative width of the band of constraints.
    pub within: f64,
    /// Most constraints.
    pub most: usize,
    /// Points that are sampled around u.
    pub samples: usize,
    /// How far, in units of what moves a pre-activation at θ by 1.
    pub spread: f64,
    /// Largest norm of an input.
    pub inputs: f64,
}

impl Settings {
    /// Adds the gradients of the constraints at points of distance `radius` from u, the same ones at every look.
    fn sample(
        &self,
        model: &dyn Model,
        at: &Snapshot<'_>,
        unit: &[f64],
        radius: f64,
        near: &mut Near,
    ) -> Result<(), Breakdown> {
        let constraints = near.constraints.clone();
        for k in 0..self.samples.min((SAMPLED / constraints.len().max(1)).saturating_sub(1)) {
            let mut random = stream(0, "probe.near", k as u64);
            let mut point: Vec<f64> = unit.iter().map(|_| StandardNormal.sample(&mut random)).collect();
            let size = norm(&point);
            point.iter_mut().zip(unit).for_each(|(p, u)| *p = u + radius * *p / size);
            near.gradients.extend(gradients(model, at, &point, &constraints)?);
            near.constraints.extend_from_slice(&constraints);
        }
        near.gram = gram(&near.gradients);
        Ok(())
    }
}

/// ∇q_H of these constraints.
fn gradients(
    model: &dyn Model,
    at: &Snapshot<'_>,
    theta: &[f64],
    constraints: &[Constraint],
) -> Result<Vec<Vec<f64>>, Breakdown> {
    let (k, problem) = (model.outputs(), at.problem);
    let (mut out, mut cot, mut tape) = (vec![0.0; k], vec![0.0; k], Tape::default());
    let gradient = |c: &Constraint| {
        let rows = problem.train.rows().slice(c.example, c.example + 1);
        let mut grad = vec![0.0; theta.len()];
        model.forward(theta, rows, &mut out, &mut tape)?;
        problem.loss.constraint_cotangent(problem.train.labels()[c.example], c.rival, &mut cot);
        model.pullback(theta, rows, &mut tape, &cot, Some(&mut grad), None)?;
        Ok(grad)
    };
    constraints.iter().map(gradient).collect()
}

/// max_i ‖⟨∇f_i, θ⟩ − M f_i‖₂ and max_i ‖f_i‖₂.
pub(super) fn euler(at: &Snapshot<'_>, order: f64) -> Result<(f64, f64), Breakdown> {
    let (model, x) = (at.problem.model.as_ref(), at.problem.train.rows());
    let k = model.outputs();
    let (mut along, mut tape) = (vec![0.0; ROWS.min(x.n()) * k], Tape::default());
    let (mut off, mut size) = (0.0f64, 0.0f64);
    for (c, f) in at.full.outputs.chunks(ROWS * k).enumerate() {
        let rows: Rows<'_> = x.slice(c * ROWS, c * ROWS + f.len() / k);
        let along = &mut along[..f.len()];
        model.jvp(at.theta, at.theta, rows, along, &mut tape)?;
        for (f, d) in f.chunks(k).zip(along.chunks(k)) {
            let rest: Vec<f64> = f.iter().zip(d).map(|(f, d)| d - order * f).collect();
            (off, size) = (off.max(norm(&rest)), size.max(norm(f)));
        }
    }
    Ok((off, size))
}
