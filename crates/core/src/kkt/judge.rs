//! Maximum or saddle: first- and second-order conditions at a polished KKT point.
//!
//! Over the directions that keep the margins with λ_i > 0 and the pins at first order, a point is a strict local maximum of
//! the margin if I − Σ λ_i ∇²q_i is positive there and every kink costs margin on both sides. A negative curvature, a kink that
//! gains on one side, or a silent neuron with a correlation above 1 gives a direction that is then taken: only a margin that
//! has risen makes a saddle. What cannot be proved either way is undecided.

use faer::Mat;

use super::peak::{Peak, peak};
use super::polish::{ACCEPTED, System, UNKNOWNS, least_squares, value_of};
use super::{Multipliers, Point, constraints};
use crate::Breakdown;
use crate::matrix::eigen;
use crate::numeric::{axpy, dot, norm, scale};

/// Curvatures within this of 0 are 0; those of ½‖θ‖² alone are 1.
const FLAT: f64 = 1e-7;
/// A slope share within this of 0 or 1 is at the end of its range.
const END: f64 = 1e-6;
/// Edges whose single flips are tried.
const FLIPS: usize = 64;

/// What kind of point a KKT point is, for the margin on the sphere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every other point nearby has a smaller margin.
    StrictMaximum,
    /// No θ has a larger margin: proved by a dual certificate (over every width, for two-layer networks).
    GlobalMaximum,
    /// Some path from here raises the margin: one has been found and taken.
    Saddle,
    /// Neither is proved.
    Undecided,
}

impl Verdict {
    /// Its number in a column: 1, 2, −1, 0.
    pub fn code(self) -> f64 {
        match self {
            Verdict::StrictMaximum => 1.0,
            Verdict::GlobalMaximum => 2.0,
            Verdict::Saddle => -1.0,
            Verdict::Undecided => 0.0,
        }
    }
}

/// A step that raised the margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Ascent {
    /// Where it led, scaled to ‖θ‖ of the point.
    pub to: Vec<f64>,
    /// Margin there over margin here, less 1.
    pub gain: f64,
    /// Distance of the two directions.
    pub step: f64,
}

/// A verdict with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The ascent of a saddle.
    pub ascent: Option<Ascent>,
    /// The least curvature over the critical directions, where it has been computed; NaN otherwise.
    pub curvature: f64,
}

impl Judgement {
    fn only(verdict: Verdict) -> Judgement {
        Judgement { verdict, ascent: None, curvature: f64::NAN }
    }
}

impl Point<'_> {
    /// What kind of point this is. Undecided where it is no KKT point to 1e-9 ([`polish`](Point::polish) first), and beyond 600
    /// unknowns unless a certificate decides.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn judge(&self) -> Result<Judgement, Breakdown> {
        let Some(fit) = self.clarke() else { return Ok(Judgement::only(Verdict::Undecided)) };
        let size = norm(&self.theta);
        if !(fit.epsilon <= ACCEPTED * size) {
            return Ok(Judgement::only(Verdict::Undecided));
        }
        let peak = self.peak(&fit);
        if peak.as_ref().is_some_and(|p| p.bound <= 1.0 + 1e-8)
            || (self.is_polynomial() && self.degree == 1.0)
        {
            return Ok(Judgement::only(Verdict::GlobalMaximum));
        }
        let system = System::around(self, &fit.lambda);
        let lambda: Vec<f64> = self.weights(&system, &fit);
        let is_small = self.theta.len() <= UNKNOWNS;
        let hessian = if is_small { Some(system.hessian(&self.theta, &lambda)?) } else { None };
        // A quadratic form q_i with ½‖θ‖² − Σλ_i q_i ≥ 0 everywhere: weak duality.
        let is_quadratic = self.is_polynomial() && self.degree == 2.0;
        let lowest = |h: &Mat<f64>| eigen(h.as_ref()).and_then(|(values, _)| values.first().copied());
        if is_quadratic && hessian.as_ref().and_then(lowest).is_some_and(|value| value >= -FLAT) {
            return Ok(Judgement::only(Verdict::GlobalMaximum));
        }
        let kinks = self.off_the_kinks(&fit).map(|direction| (direction, false));
        let silent = peak.and_then(|peak| self.awake(&peak)).map(|direction| (direction, true));
        for (direction, bend) in kinks.into_iter().chain(silent) {
            if let Some(ascent) = self.ascend(&direction, &system, fit.epsilon, bend)? {
                return Ok(Judgement { ascent: Some(ascent), ..Judgement::only(Verdict::Saddle) });
            }
        }
        let Some((curvature, direction)) = hessian.and_then(|h| critical(&system, &h, &self.theta)) else {
            return Ok(Judgement::only(Verdict::Undecided));
        };
        let judged = |verdict, ascent| Judgement { verdict, ascent, curvature };
        if curvature < -FLAT {
            for sign in [1.0, -1.0] {
                let along: Vec<f64> = direction.iter().map(|d| sign * d).collect();
                if let Some(ascent) = self.ascend(&along, &system, fit.epsilon, true)? {
                    return Ok(judged(Verdict::Saddle, Some(ascent)));
                }
            }
            return Ok(judged(Verdict::Undecided, None));
        }
        let is_strict = curvature > FLAT
            && self.silent().is_empty()
            && self.kinks_cost(&fit)
            && system.has_hessian(&self.theta, &lambda)?;
        Ok(judged(if is_strict { Verdict::StrictMaximum } else { Verdict::Undecided }, None))
    }

    fn is_polynomial(&self) -> bool {
        self.problem.model.is_polynomial()
    }

    /// λ of the system's constraints.
    fn weights(&self, system: &System<'_, '_>, fit: &Multipliers) -> Vec<f64> {
        let of = |c: &crate::loss::Constraint| {
            let k = self.constraints.iter().position(|d| (d.example, d.rival) == (c.example, c.rival));
            k.map_or(0.0, |k| fit.lambda[k])
        };
        system.active.iter().map(of).collect()
    }

    /// Neurons that are exactly 0.
    fn silent(&self) -> Vec<usize> {
        let Some(two) = &self.two else { return Vec::new() };
        (0..two.width).filter(|r| two.size(&self.theta, *r) == 0.0).collect()
    }

    /// The largest correlation that a neuron could have with the multipliers.
    fn peak(&self, fit: &Multipliers) -> Option<Peak> {
        let two = self.two.as_ref()?;
        let (mut inputs, mut weights) = (Vec::new(), Vec::new());
        for (c, l) in self.constraints.iter().zip(&fit.lambda).filter(|(_, l)| **l > 0.0) {
            inputs.push(self.input(two, c));
            let mut cot = self.problem.constraint_cotangent(c);
            scale(*l, &mut cot);
            weights.push(cot);
        }
        peak(&inputs, &weights, two.slopes)
    }

    /// The direction in which a silent neuron grows.
    fn awake(&self, peak: &Peak) -> Option<Vec<f64>> {
        let two = self.two.as_ref()?;
        let r = *self.silent().first()?;
        if !(peak.value > 1.0 + FLAT) {
            return None;
        }
        let mut direction = vec![0.0; self.theta.len()];
        peak.at.iter().enumerate().for_each(|(i, w)| direction[two.inner(r, i)] = *w);
        peak.pull.iter().enumerate().for_each(|(o, p)| direction[two.outer(o, r)] = p / peak.value);
        Some(direction)
    }

    fn is_supported(&self, fit: &Multipliers, constraint: usize) -> bool {
        let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        fit.lambda[constraint] > 1e-9 * largest
    }

    /// Whether leaving any kink with weight costs margin at first order, on both sides.
    fn kinks_cost(&self, fit: &Multipliers) -> bool {
        self.edges
            .iter()
            .zip(&fit.slopes)
            .filter(|(edge, _)| self.is_supported(fit, edge.constraint))
            .all(|(edge, s)| edge.strength < 0.0 && *s > END && *s < 1.0 - END)
    }

    /// Where q_i is convex across a kink, q_i′(θ; d) ≥ ⟨h, d⟩ for either one-sided slope in h: if with some choice of them the
    /// multipliers leave a residual, minus that residual raises the margin at first order.
    fn off_the_kinks(&self, fit: &Multipliers) -> Option<Vec<f64>> {
        let convex: Vec<usize> = (0..self.edges.len())
            .filter(|e| self.edges[*e].strength > 0.0 && self.is_supported(fit, self.edges[*e].constraint))
            .collect();
        if convex.is_empty() {
            return None;
        }
        let mut choices: Vec<Vec<Option<bool>>> = Vec::new();
        for side in [false, true] {
            let mut all = vec![None; self.edges.len()];
            convex.iter().for_each(|e| all[*e] = Some(side));
            for e in convex.iter().take(FLIPS) {
                let mut flipped = all.clone();
                flipped[*e] = Some(!side);
                choices.push(flipped);
            }
            choices.push(all);
        }
        let best = choices.iter().map(|c| self.fit(c)).max_by(|a, b| a.epsilon.total_cmp(&b.epsilon))?;
        let is_clear = best.epsilon > FLAT * norm(&self.theta);
        is_clear.then(|| best.residual.iter().map(|r| -r).collect())
    }

    /// Steps along a direction until the margin on the sphere has risen by more than the residual explains; the best of
    /// them. With `bend` each point is brought back to equal margins of the support and onto the pins.
    fn ascend(
        &self,
        direction: &[f64],
        system: &System<'_, '_>,
        epsilon: f64,
        bend: bool,
    ) -> Result<Option<Ascent>, Breakdown> {
        let size = norm(&self.theta);
        let (here, length) = (self.margin(), norm(direction));
        if !(length > 0.0) {
            return Ok(None);
        }
        let rows = if bend { system.equalities(&self.theta)? } else { Vec::new() };
        let mut best: Option<Ascent> = None;
        for k in 0..16 {
            let mut to = self.theta.clone();
            axpy(0.5f64.powi(k) * size / length, direction, &mut to);
            for _ in 0..if bend { 3 } else { 0 } {
                self.level(system, &rows, &mut to)?;
            }
            let gain = self.margin_at(&to)? / here - 1.0;
            let step = self.distance(&to);
            let explained = 10.0 * self.degree * (epsilon / size) * step + 1e-12;
            if gain > explained && best.as_ref().is_none_or(|b| gain > b.gain) {
                scale(size / norm(&to), &mut to);
                best = Some(Ascent { to, gain, step });
            }
        }
        Ok(best)
    }

    /// The shortest change that makes the margins of the support equal at first order and keeps the pins.
    fn level(&self, system: &System<'_, '_>, rows: &[Vec<f64>], theta: &mut [f64]) -> Result<(), Breakdown> {
        let values = constraints(self.problem, theta)?;
        let q: Vec<f64> = system.active.iter().map(|c| value_of(&values, c)).collect();
        let mean = q.iter().sum::<f64>() / q.len().max(1) as f64;
        let at = &*theta;
        let pinned = rows[q.len()..].iter().map(|row| -dot(row, at));
        let right: Vec<f64> = q.iter().map(|q| mean - q).chain(pinned).collect();
        let gram = Mat::from_fn(rows.len(), rows.len(), |i, j| dot(&rows[i], &rows[j]));
        let Some(weights) = least_squares(&gram, &right) else { return Ok(()) };
        rows.iter().zip(&weights).for_each(|(row, w)| axpy(*w, row, theta));
        Ok(())
    }
}

/// The least curvature over the directions that keep the equalities at first order, with its direction: ∞ where there are no
/// such directions.
fn critical(system: &System<'_, '_>, hessian: &Mat<f64>, theta: &[f64]) -> Option<(f64, Vec<f64>)> {
    let n = system.free.len();
    let rows: Vec<Vec<f64>> = system.equalities(theta).ok()?;
    let cut = |row: &Vec<f64>| -> Vec<f64> {
        let part: Vec<f64> = system.free.iter().map(|p| row[*p]).collect();
        let size = norm(&part);
        part.iter().map(|x| if size > 0.0 { x / size } else { 0.0 }).collect()
    };
    let rows: Vec<Vec<f64>> = rows.iter().map(cut).collect();
    let square = Mat::from_fn(n, n, |i, j| rows.iter().map(|row| row[i] * row[j]).sum::<f64>());
    let (values, vectors) = eigen(square.as_ref())?;
    let largest = values.last().copied().unwrap_or(0.0);
    let kept = values.iter().take_while(|v| **v <= 1e-11 * largest).count();
    let mut direction = vec![0.0; theta.len()];
    if kept == 0 {
        return Some((f64::INFINITY, direction));
    }
    let basis = vectors.as_ref().subcols(0, kept);
    let reduced = basis.transpose() * hessian * basis;
    let (curvatures, within) = eigen(reduced.as_ref())?;
    let lowest = basis * within.as_ref().subcols(0, 1);
    system.free.iter().enumerate().for_each(|(k, p)| direction[*p] = lowest[(k, 0)]);
    Some((curvatures[0], direction))
}
