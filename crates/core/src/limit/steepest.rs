//! Where the flow at temperature zero goes from a point: the shortest Clarke subgradient of ln q_min.
//!
//! By Euler's identity every subgradient h of ln q_i has ⟨h, θ⟩ = L: the convex hull of those of the active constraints is the part
//! of their cone in that hyperplane. So its shortest element is along the point P of the cone nearest to θ, and has the length
//! L/‖P‖: the programme is that of the KKT residual ([`crate::kkt::Point::clarke`]), and with φ the angle between P and θ the
//! residual is ‖θ‖ sin φ and the direction turns by tan φ per unit of ln ρ.
//!
//! The flow takes the shortest element wherever F obeys the chain rule along curves (Davis, Drusvyatskiy, Kakade & Lee 2020). Where
//! kinks repel it may also sit still on them, which no flow does that comes from elsewhere: [`Kinks::Attracting`].

use super::two_layer::TwoLayer;
use super::{UNKNOWNS, separating};
use crate::kkt::{Kinks, Multipliers, Point, Reach};
use crate::loss::Constraint;
use crate::numeric::{dot, norm, scale};
use crate::{Breakdown, Problem};

/// Shares this near to 0 or 1 are at the end of their range: what the interior-point method leaves.
const END: f64 = 1e-5;

/// The shortest subgradient, and what it is made of.
#[derive(Clone, Debug)]
pub struct Steepest {
    /// d ∈ ∂° ln q_min(θ), as long as θ.
    pub direction: Vec<f64>,
    /// The constraints within reach, their values over q_min, with their weights in d: Σ = 1.
    pub constraints: Vec<Constraint>,
    /// Kinks within reach of constraints with weight.
    pub kinks: usize,
    /// Those with a slope strictly between the one-sided ones.
    pub between: usize,
}

impl Steepest {
    /// The constraints with weight.
    pub fn support(&self) -> usize {
        self.constraints.iter().filter(|c| c.weight > 0.0).count()
    }
}

/// The shortest element d of the Clarke subdifferential of ln q_min at θ, with constraints within `reach.within` of q_min counted
/// as equal to it and pre-activations within `reach.kink` as 0: a convex programme with a multiplier λ_i for each constraint and one
/// in [0, λ_i] for each of its kinks. As the tolerances go to 0 it is the velocity of the flow at temperature zero in the clock
/// ds = dt·(rate of ln q_min); with tolerances it looks as far ahead as they reach.
///
/// Exact to about 1e-13 of its length; for networks of more than 600 weights, where the interior-point method does it, 1e-7. None
/// where θ does not separate the data, where the model has no degree, and at kinks of networks of more than two layers.
///
/// # Errors
/// Only models that run foreign code fail.
///
/// # Examples
/// min(⟨(1, 2), θ⟩, ⟨(1, −1), θ⟩) slides along (1, 0):
/// ```
/// use std::sync::Arc;
/// use latephase_core::kkt::{Kinks, Reach};
/// use latephase_core::limit::steepest;
/// use latephase_core::loss::Exponential;
/// use latephase_core::model::{Architecture, Linear};
/// use latephase_core::{Data, Problem};
/// let data = Data::new(vec![1.0, 2.0, 1.0, -1.0], vec![0, 0], vec!["+".into(), "-".into()], vec![2])?;
/// let model = Linear::default().assemble(&[2], 1)?;
/// let problem = Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None);
/// let found = steepest(&problem, &[1.0, 0.0], Reach::default(), Kinks::All)?.unwrap();
/// assert!((found.direction[0] - 1.0).abs() < 1e-14 && found.direction[1].abs() < 1e-14);
/// assert!((found.constraints[0].weight - 1.0 / 3.0).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
/// Lyu & Li 2020, Appendix A (the differential inclusion); Davis, Drusvyatskiy, Kakade & Lee 2020 (the shortest element)
pub fn steepest(
    problem: &Problem,
    theta: &[f64],
    reach: Reach,
    kinks: Kinks,
) -> Result<Option<Steepest>, Breakdown> {
    let Some(degree) = problem.model.degree().order() else { return Ok(None) };
    let Some(fitted) = Fitted::at(problem, theta, reach, kinks)? else { return Ok(None) };
    let Fitted { theta: scaled, mut constraints, fit, owners, .. } = fitted;
    let mut direction: Vec<f64> = scaled.iter().zip(&fit.residual).map(|(t, r)| t - r).collect();
    let square = dot(&direction, &direction);
    if !(square > 0.0) {
        return Ok(None);
    }
    scale(degree * norm(&scaled) / (square * norm(theta)), &mut direction);
    let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
    let total: f64 = constraints.iter().zip(&fit.lambda).map(|(c, l)| c.value * l).sum();
    let carries = |k: usize| fit.lambda[k] > 1e-9 * largest;
    for (k, c) in constraints.iter_mut().enumerate() {
        c.weight = if carries(k) { c.value * fit.lambda[k] / total } else { 0.0 };
    }
    let shares = || owners.iter().zip(&fit.slopes).filter(|(k, _)| carries(**k));
    let between = shares().filter(|(_, s)| **s > END && **s < 1.0 - END).count();
    Ok(Some(Steepest { direction, kinks: shares().count(), between, constraints }))
}

/// The best multipliers, by whichever method is made for the size of the problem.
pub(super) struct Fitted<'a> {
    /// θ scaled to q_min = 1.
    pub theta: Vec<f64>,
    pub constraints: Vec<Constraint>,
    pub fit: Multipliers,
    /// The constraint of each kink.
    pub owners: Vec<usize>,
    /// The point itself, where it is small enough to be judged.
    pub point: Option<Point<'a>>,
}

impl<'a> Fitted<'a> {
    /// None where [`steepest`] has none.
    pub fn at(
        problem: &'a Problem,
        theta: &[f64],
        reach: Reach,
        kinks: Kinks,
    ) -> Result<Option<Fitted<'a>>, Breakdown> {
        let is_large = problem.dim() > UNKNOWNS && problem.model.neurons().is_some();
        if is_large {
            Fitted::large(problem, theta, reach, kinks)
        } else {
            Fitted::small(problem, theta, reach, kinks)
        }
    }

    fn large(
        problem: &'a Problem,
        theta: &[f64],
        reach: Reach,
        kinks: Kinks,
    ) -> Result<Option<Fitted<'a>>, Breakdown> {
        let Some((degree, two)) = problem.model.degree().order().zip(problem.model.neurons()) else {
            return Ok(None);
        };
        let Some(theta) = separating(problem, theta, degree)? else { return Ok(None) };
        let found = TwoLayer::new(problem, two).fit(&theta, reach, kinks)?;
        Ok(found.map(|(constraints, fit, owners)| Fitted { theta, constraints, fit, owners, point: None }))
    }

    fn small(
        problem: &'a Problem,
        theta: &[f64],
        reach: Reach,
        kinks: Kinks,
    ) -> Result<Option<Fitted<'a>>, Breakdown> {
        let Some(point) = Point::at(problem, theta, reach)? else { return Ok(None) };
        let Some(fit) = point.clarke_with(kinks) else { return Ok(None) };
        Ok(Some(Fitted {
            theta: point.theta().to_vec(),
            constraints: point.constraints().to_vec(),
            owners: point.edges().iter().map(|edge| edge.constraint).collect(),
            fit,
            point: Some(point),
        }))
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
    use crate::numeric::distance;
    use crate::rng::stream;

    #[test]
    fn the_interior_point_method_and_the_active_set_agree() {
        let (n, dim, width) = (12, 4, 8);
        let (mut compared, mut kinks) = (0, 0);
        for seed in 0..20 {
            let mut rng = stream(seed, "limit.steepest", 0);
            let mut normals =
                |n: usize| (0..n).map(|_| StandardNormal.sample(&mut rng)).collect::<Vec<f64>>();
            let (x, theta) = (normals(n * dim), normals(width * (dim + 1)));
            let Ok(model) = (Mlp { widths: vec![width], ..Mlp::default() }).assemble(&[dim], 1) else {
                panic!("a model of {width} neurons")
            };
            let mut outputs = vec![0.0; n];
            let rows = crate::Rows::new(&x, dim);
            if model.forward(&theta, rows, &mut outputs, &mut Default::default()).is_err() {
                panic!("outputs of {width} neurons")
            }
            let labels = outputs.iter().map(|f| u32::from(*f < 0.0)).collect();
            let Ok(data) = Data::new(x, labels, vec!["0".into(), "1".into()], vec![dim]) else { continue };
            let problem = Problem::new(model, Box::new(Exponential::default()), Arc::new(data), None);
            // An example that no neuron sees has no margin.
            if !crate::kkt::least_margin(&problem, &theta).is_ok_and(|q| q > 0.0) {
                continue;
            }
            // So wide that several constraints and many kinks are within reach.
            for (which, reach) in [
                (Kinks::All, Reach { within: 3.0, most: 1024, kink: 0.2 }),
                (Kinks::Attracting, Reach { within: 10.0, most: 1024, kink: 0.5 }),
            ] {
                let both = [Fitted::small, Fitted::large].map(|of| of(&problem, &theta, reach, which));
                let [Ok(Some(small)), Ok(Some(large))] = both else { panic!("seed {seed}: no answer") };
                let size = norm(&small.theta);
                let off = distance(&small.fit.residual, &large.fit.residual) / size;
                assert!(off < 1e-6, "seed {seed}, {which:?}: {off:e}");
                assert!((small.fit.epsilon - large.fit.epsilon).abs() < 1e-6 * size);
                compared += 1;
                kinks += large.owners.len();
            }
        }
        assert!(compared > 30 && kinks > 200, "{compared} with {kinks} kinks");
    }
}
