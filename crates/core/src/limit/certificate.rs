//! The certificate of a KKT point, from the network itself.

use super::speed;
use super::steepest::Fitted;
use crate::kkt::{Judgement, Kinks, Multipliers, Reach};
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
        let reach = Reach { within: WITHIN, most: 1024, kink };
        let Some(Fitted { theta, constraints, fit, owners, point }) =
            Fitted::at(problem, theta, reach, Kinks::All)?
        else {
            return Ok(None);
        };
        // What an interior-point method leaves of a multiplier that is 0 is more than what an active set does.
        let part = if point.is_some() { 1e-9 } else { 1e-7 };
        let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        let support: Vec<usize> =
            (0..constraints.len()).filter(|k| fit.lambda[*k] > part * largest).collect();
        let judgement = match &point {
            Some(point) if judge => Some(point.judge()?),
            _ => None,
        };
        Ok(Some(Certificate {
            size: norm(&theta),
            support: support.iter().map(|k| constraints[*k]).collect(),
            lambda: support.iter().map(|k| fit.lambda[*k]).collect(),
            kinks: owners.iter().filter(|k| support.contains(k)).count(),
            fit,
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
