//! The certificate of a KKT point, from the network itself.

use super::two_layer::TwoLayer;
use super::{UNKNOWNS, separating, speed};
use crate::kkt::{Judgement, Multipliers, Point, Reach};
use crate::loss::Constraint;
use crate::numeric::norm;
use crate::{Breakdown, Problem};

/// Constraints within this of q_min, relatively, may have weight.
const WITHIN: f64 = 1e-3;

/// A KKT point's certificate, computed at θ from the network itself.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// ‖θ‖ with q_min = 1.
    pub size: f64,
    /// The best multipliers with the best Clarke subgradients.
    pub fit: Multipliers,
    /// Constraints with weight.
    pub support: Vec<Constraint>,
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
    /// a judgement. None where the data are not separated, where the model has no degree, and at kinks of networks of more
    /// than two layers.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn at(
        problem: &Problem,
        theta: &[f64],
        kink: f64,
        judge: bool,
    ) -> Result<Option<Certificate>, Breakdown> {
        let Some(degree) = problem.model.degree().order() else { return Ok(None) };
        if let (Some(two), true) = (problem.model.neurons(), problem.dim() > UNKNOWNS) {
            let Some(theta) = separating(problem, theta, degree)? else { return Ok(None) };
            let Some((constraints, fit, kinks)) = TwoLayer::new(problem, two).fit(&theta, WITHIN, kink)?
            else {
                return Ok(None);
            };
            let support = carrying(&fit.lambda, 1e-7);
            return Ok(Some(Certificate::of(norm(&theta), &constraints, fit, &support, kinks)));
        }
        let reach = Reach { within: WITHIN, most: 1024, kink };
        let Some(point) = Point::at(problem, theta, reach)? else { return Ok(None) };
        let Some(fit) = point.clarke() else { return Ok(None) };
        let support = carrying(&fit.lambda, 1e-9);
        let kinks = point.edges().iter().filter(|e| support.contains(&e.constraint)).count();
        let judgement = if judge { Some(point.judge()?) } else { None };
        let plain = Certificate::of(norm(point.theta()), point.constraints(), fit, &support, kinks);
        Ok(Some(Certificate { judgement, ..plain }))
    }

    fn of(size: f64, all: &[Constraint], fit: Multipliers, support: &[usize], kinks: usize) -> Certificate {
        Certificate {
            size,
            support: support.iter().map(|k| all[*k]).collect(),
            lambda: support.iter().map(|k| fit.lambda[*k]).collect(),
            fit,
            kinks,
            judgement: None,
        }
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

/// Whose multiplier is above this part of the largest.
fn carrying(lambda: &[f64], part: f64) -> Vec<usize> {
    let largest = lambda.iter().fold(0.0f64, |m, l| m.max(*l));
    (0..lambda.len()).filter(|k| lambda[*k] > part * largest).collect()
}
