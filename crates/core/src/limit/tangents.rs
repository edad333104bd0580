//! Any network: tangents of the margins, at the centre and, at kinks, where steps fell short.
//!
//! With L-homogeneous q, the tangent at y is q(y) + ⟨∇q(y), x − y⟩ = ⟨∇q(y), x⟩ − (L − 1) q(y). A tangent from elsewhere is
//! held to the centre by its linearisation error e = tangent(θ) − q(θ): a piece that meets as a minimum has e ≥ 0; one with
//! e < 0 lies behind a kink that repels, or is curved, and is moved up to |e|. Where q curves both ways e may be 0 at any distance, of
//! a tangent that has no part in the subdifferential at θ: none stands lower than ½‖y − θ‖²/‖θ‖², the locality measure of bundle
//! methods, so that a residual of 0 needs tangents from nowhere else than θ (Kiwiel 1985, chapter 3; Mifflin 1982).

use super::pieces::{Pieces, keep};
use crate::kkt::{constraints, least_margin};
use crate::loss::Constraint;
use crate::numeric::{axpy, distance, dot, norm};
use crate::{Breakdown, Problem, Rows};

/// Relative distance of a pre-activation from its kink within which a network counts as kinked.
const KINKED: f64 = 0.05;
/// A tangent whose error is below −this times ‖Δg‖‖Δθ‖ lies behind a kink that repels.
const REPEL: f64 = 0.02;
/// What a tangent from elsewhere stands above q at least, in units of the square of its distance over ‖θ‖.
const LOCAL: f64 = 0.5;
/// Tangents from elsewhere are kept within this distance, relative to ‖θ‖.
const RADIUS: f64 = 0.1;

struct Cut {
    constraint: usize,
    gradient: Vec<f64>,
    right: f64,
    along: f64,
    /// Where it was taken with its q, unless at the centre.
    from: Option<(Vec<f64>, f64)>,
}

pub(super) struct Tangents<'a> {
    problem: &'a Problem,
    degree: f64,
    theta: Vec<f64>,
    /// The constraints at the centre.
    all: Vec<Constraint>,
    cuts: Vec<Cut>,
    is_kinked: bool,
    weight: f64,
    /// Times that steps from this centre fell short.
    lessons: usize,
}

impl<'a> Tangents<'a> {
    pub fn new(problem: &'a Problem, degree: f64) -> Tangents<'a> {
        Tangents {
            problem,
            degree,
            theta: Vec::new(),
            all: Vec::new(),
            cuts: Vec::new(),
            is_kinked: false,
            weight: 1.0,
            lessons: 0,
        }
    }

    fn tangent(&self, k: usize, at: &[f64], q: f64, is_centre: bool) -> Result<Cut, Breakdown> {
        let gradient = self.problem.margin_gradient(at, &self.all[k])?;
        let along = dot(&gradient, &self.theta);
        let mut right = 1.0 + (self.degree - 1.0) * q;
        if !is_centre {
            right = self.held(right, along, k, at);
        }
        Ok(Cut { constraint: k, gradient, right, along, from: (!is_centre).then(|| (at.to_vec(), q)) })
    }

    /// b with which the tangent at a point stands as far above q at the centre as its error and its distance say.
    fn held(&self, right: f64, along: f64, k: usize, at: &[f64]) -> f64 {
        let error = along - (right - 1.0) - self.all[k].value;
        let far = distance(at, &self.theta) / norm(&self.theta);
        right + error - error.abs().max(LOCAL * far * far)
    }

    fn look_for_kinks(&mut self) {
        let rows: Vec<f64> = (self.all.iter().filter(|c| c.value < 1.1))
            .flat_map(|c| self.problem.train.rows().row(c.example))
            .copied()
            .collect();
        let rows = Rows::new(&rows, self.problem.train.dim());
        let kinks = self.problem.model.kinks(&self.theta, rows, KINKED);
        self.is_kinked = kinks.is_none_or(|kinks| !kinks.is_empty());
    }
}

impl Pieces for Tangents<'_> {
    fn least_weight(&self) -> f64 {
        1.0
    }

    fn weigh(&mut self, weight: f64) {
        self.weight = weight;
    }

    fn centre(&mut self, theta: &[f64], _lambda: &[f64]) -> Result<(), Breakdown> {
        let before = std::mem::replace(&mut self.theta, theta.to_vec());
        self.all = constraints(self.problem, theta)?;
        self.look_for_kinks();
        self.lessons = 0;
        let (size, mut cuts) = (norm(theta), std::mem::take(&mut self.cuts));
        for cut in &mut cuts {
            let k = cut.constraint;
            let is_at_centre = cut.from.is_none();
            if is_at_centre && !self.is_kinked {
                *cut = self.tangent(k, theta, self.all[k].value, true)?;
                continue;
            }
            let (at, q) = cut
                .from
                .take()
                .unwrap_or_else(|| (before.clone(), (cut.right - 1.0) / (self.degree - 1.0).max(1e-300)));
            cut.along = dot(&cut.gradient, theta);
            let plain = if self.degree == 1.0 { 1.0 } else { 1.0 + (self.degree - 1.0) * q };
            cut.right = self.held(plain, cut.along, k, &at);
            cut.from = Some((at, q));
        }
        if self.is_kinked {
            // The tangents at the centre itself come first: they tell which of the others lie behind a kink that repels.
            let mut own: Vec<Cut> = Vec::new();
            let mut keeps = Vec::new();
            for cut in &cuts {
                let k = cut.constraint;
                if !own.iter().any(|c| c.constraint == k) {
                    own.push(self.tangent(k, theta, self.all[k].value, true)?);
                }
                let Some((at, q)) = &cut.from else {
                    keeps.push(false);
                    continue;
                };
                let far = distance(at, theta);
                let error = cut.along - (self.degree - 1.0) * q - self.all[k].value;
                let jump = own
                    .iter()
                    .find(|c| c.constraint == k)
                    .map_or(0.0, |c| distance(&c.gradient, &cut.gradient));
                keeps.push(far > 0.0 && far <= RADIUS * size && error >= -REPEL * jump * far);
            }
            // Order matters to the caller's weights: cuts that leave become the centre's own, at the same place.
            for (cut, keeps) in cuts.iter_mut().zip(&keeps) {
                if !keeps {
                    let k = cut.constraint;
                    *cut = self.tangent(k, theta, self.all[k].value, true)?;
                }
            }
        }
        self.cuts = cuts;
        Ok(())
    }

    fn least(&self, theta: &[f64]) -> Result<f64, Breakdown> {
        least_margin(self.problem, theta)
    }

    fn cut(&mut self, x: &[f64], level: f64, at_centre: bool) -> Result<(usize, f64), Breakdown> {
        let values = if at_centre { self.all.clone() } else { constraints(self.problem, x)? };
        let (mut joined, mut least) = (0, f64::INFINITY);
        for k in 0..values.len() {
            let own = self.cuts.iter().any(|c| c.constraint == k && c.from.is_none());
            let linear =
                self.cuts.iter().filter(|c| c.constraint == k).map(|c| dot(&c.gradient, x) - c.right + 1.0);
            // Without its tangent at the centre, the network itself says whether a constraint matters.
            let value = linear.fold(if own { f64::INFINITY } else { values[k].value }, f64::min);
            least = least.min(value);
            let matters = if at_centre { values[k].value < 2.0 - level } else { value < level };
            if !own && matters {
                let theta = self.theta.clone();
                let cut = self.tangent(k, &theta, self.all[k].value, true)?;
                self.cuts.push(cut);
                joined += 1;
            }
        }
        Ok((joined, least))
    }

    fn learn(&mut self, x: &[f64]) -> Result<bool, Breakdown> {
        self.lessons += 1;
        if !self.is_kinked {
            return Ok(false);
        }
        let values = constraints(self.problem, x)?;
        let mut any = false;
        for (k, c) in values.iter().enumerate().filter(|(_, c)| c.value < 1.0 + 1e-6) {
            let cut = self.tangent(k, x, c.value, false)?;
            let far = distance(x, &self.theta);
            let error = cut.along - (self.degree - 1.0) * c.value - self.all[k].value;
            let own = self.problem.margin_gradient(&self.theta, &self.all[k])?;
            let jump = distance(&own, &cut.gradient);
            if error >= -REPEL * jump * far {
                self.cuts.push(cut);
                any = true;
            }
        }
        // Now and then the step has to become shorter, too.
        Ok(any && !self.lessons.is_multiple_of(4))
    }

    fn cuts(&self) -> usize {
        self.cuts.len()
    }

    fn retain(&mut self, flags: &[bool]) {
        keep(&mut self.cuts, flags);
    }

    fn inner(&self, i: usize, j: usize) -> f64 {
        dot(&self.cuts[i].gradient, &self.cuts[j].gradient) / (1.0 + self.weight)
    }

    fn right(&self, k: usize) -> f64 {
        self.cuts[k].right - self.cuts[k].along * self.weight / (1.0 + self.weight)
    }

    fn combine(&self, lambda: &[f64], to: &mut [f64]) {
        to.fill(0.0);
        self.cuts.iter().zip(lambda).filter(|(_, l)| **l != 0.0).for_each(|(c, l)| axpy(*l, &c.gradient, to));
    }

    fn towards(&self, sum: &[f64], to: &mut [f64]) {
        let whole = 1.0 + self.weight;
        for ((to, t), s) in to.iter_mut().zip(&self.theta).zip(sum) {
            *to = t + (s - t) / whole;
        }
    }

    fn settle(&self, _lambda: &[f64], _small: f64, _theta: &mut [f64]) {}
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use super::super::climb::Climb;
    use super::super::{Way, separating};
    use super::*;
    use crate::Data;
    use crate::kkt::{Point, Reach};
    use crate::loss::Exponential;
    use crate::model::{Architecture, Mlp};
    use crate::rng::stream;
    use rand::distr::Distribution;
    use rand_distr::StandardNormal;

    #[test]
    fn tangents_from_both_sides_find_the_kinks_of_a_two_layer_network() {
        // (1, 0) negative and (1, 2)/√5 positive: each neuron ends across the other's example, and the margin is 1/(2√5).
        let root = 5f64.sqrt();
        let inputs = vec![1.0, 0.0, 1.0 / root, 2.0 / root];
        let model = Mlp { widths: vec![2], ..Mlp::default() }.assemble(&[2], 1);
        let data = Data::new(inputs, vec![1, 0], vec!["0".into(), "1".into()], vec![2]);
        let (Ok(model), Ok(data)) = (model, data) else { panic!("a network of two neurons") };
        let problem = Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None);
        for seed in 0..10 {
            let mut theta = vec![0.0, 1.0, 2.0 / root, -1.0 / root, 1.0, -1.0];
            let mut rng = stream(seed, "limit.near", 0);
            let off: Vec<f64> = (0..6).map(|_| StandardNormal.sample(&mut rng)).collect();
            axpy(0.2, &off, &mut theta);
            let Ok(Some(theta)) = separating(&problem, &theta, 2.0) else { panic!("seed {seed}") };
            let mut climb = Climb::of(Box::new(Tangents::new(&problem, 2.0)), 2.0, theta);
            assert!(climb.run(&Way::short_cut(), &mut |_| ControlFlow::Continue(())).is_ok());
            let reach = Reach { kink: 1e-5, ..Reach::default() };
            let Ok(Some(point)) = Point::at(&problem, &climb.theta, reach) else { panic!("seed {seed}") };
            // By the exact programme, which knows nothing of tangents from elsewhere.
            let left = point.clarke().map_or(f64::NAN, |fit| fit.epsilon / norm(point.theta()));
            assert!(left < 1e-6 && point.edges().len() == 2, "seed {seed}: {left:e}");
            assert!((point.margin() * 2.0 * root - 1.0).abs() < 1e-11, "seed {seed}: {}", point.margin());
        }
    }
}
