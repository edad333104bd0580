//! How near θ/q_min^{1/L} is to a KKT point of min ½‖θ‖² subject to q_n(θ) ≥ 1, in three ways.
//!
//! With θ̃ = θ/q_min^{1/L}, h̃_n = ∇q_n/q_min^{1−1/L} and multipliers λ ≥ 0: ε = ‖θ̃ − Σλ_n h̃_n‖ and
//! δ = max λ_n (q_n/q_min − 1) (Lyu & Li 2020, Definition C.6).
//!
//! 1. *Gradient multipliers* λ_n = ρ q_min^{1−2/L} w_n/‖∇ ln 𝓛‖, w the weights of the loss. Then ε is exactly
//!    γ̄^{−1/L}√(2(1−β)). At ReLU kinks this cannot go to 0: one gradient is not the Clarke element.
//! 2. *Fitted*: the best non-negative λ over the near-support set (within `within` of q_min, the nearest `most`).
//! 3. *The bundle's* λ, at gradients within `kkt_radius` on the sphere: a Goldstein-type certificate.

use serde::{Deserialize, Serialize};

use super::near::Near;
use super::{Context, Probe, Row, Snapshot, needs_degree};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::loss::Constraint;
use crate::numeric::{axpy, dot, norm};
use crate::quadratic::{Gram, Nnls};

/// `kkt_epsilon`, `kkt_delta`; `kkt_epsilon_fit`, `kkt_delta_fit`, `kkt_support` (constraints in the fit);
/// `kkt_epsilon_bundle`, `kkt_delta_bundle`, `kkt_radius`; `kkt_relative` = `kkt_epsilon_fit`/‖θ̃‖. All NaN until
/// q_min > 0; the bundle's NaN where the algorithm has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kkt {
    /// Relative width of the near-support band of the fit, 0.03 by default.
    #[serde(default = "three_hundredths")]
    pub within: f64,
    /// Most constraints in the fit, the nearest ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    #[serde(skip)]
    degree: f64,
}

fn three_hundredths() -> f64 {
    0.03
}

fn most() -> usize {
    128
}

impl Default for Kkt {
    fn default() -> Self {
        Kkt { within: three_hundredths(), most: most(), degree: f64::NAN }
    }
}

const COLUMNS: [&str; 9] = [
    "kkt_epsilon",
    "kkt_delta",
    "kkt_epsilon_fit",
    "kkt_delta_fit",
    "kkt_relative",
    "kkt_support",
    "kkt_epsilon_bundle",
    "kkt_delta_bundle",
    "kkt_radius",
];

impl Probe for Kkt {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        for (name, ok) in [("within", self.within >= 0.0), ("most", self.most >= 1)] {
            if !ok {
                return Err(Invalid::new(
                    name,
                    "is not allowed; use a width of 0 or more, and at least 1 constraint",
                ));
            }
        }
        self.degree = needs_degree("kkt", context.problem)?;
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let q_min = at.q_min();
        if !(q_min > 0.0) {
            COLUMNS.iter().for_each(|c| row.put(c, f64::NAN));
            return;
        }
        let scale = Scale { rho: at.rho, q_min, degree: self.degree };
        let (epsilon, delta) = scale.along(at.theta, &at.full.grad, -1.0, at.constraints());
        row.put("kkt_epsilon", epsilon);
        row.put("kkt_delta", delta);
        let near = at.near(self.within, self.most);
        let (epsilon, delta, support) =
            near.map_or((f64::NAN, f64::NAN, 0), |near| fit(at.theta, &near, &scale));
        row.put("kkt_epsilon_fit", epsilon);
        row.put("kkt_delta_fit", delta);
        row.put("kkt_relative", epsilon / (at.rho / q_min.powf(1.0 / self.degree)));
        row.put("kkt_support", support as f64);
        let bundle = at.field.map(|field| {
            let aggregated = crate::Eval { cotangent: field.cotangent.clone(), ..(*at.full).clone() };
            let constraints = at.problem.constraints(&aggregated);
            (scale.along(at.theta, &field.direction, 1.0, &constraints), field.radius)
        });
        let ((epsilon, delta), radius) = bundle.unwrap_or(((f64::NAN, f64::NAN), f64::NAN));
        row.put("kkt_epsilon_bundle", epsilon);
        row.put("kkt_delta_bundle", delta);
        row.put("kkt_radius", radius);
    }
}

/// What brings θ to q_min = 1.
pub(super) struct Scale {
    pub rho: f64,
    pub q_min: f64,
    pub degree: f64,
}

impl Scale {
    /// ε and δ of the multipliers behind ±`direction`, scaled so that Σλh̃ is as long as θ̃.
    pub fn along(
        &self,
        theta: &[f64],
        direction: &[f64],
        sign: f64,
        constraints: &[Constraint],
    ) -> (f64, f64) {
        let size = norm(direction);
        // ‖θ̂ − ĝ‖ directly: √(2(1−β)) loses half the digits when β is near 1.
        let gap = theta.iter().zip(direction).map(|(t, g)| t / self.rho - sign * g / size);
        let gap = gap.map(|x| x * x).sum::<f64>().sqrt();
        let margin = self.q_min / self.rho.powf(self.degree);
        let factor = self.rho * self.q_min.powf(1.0 - 2.0 / self.degree) / size;
        let delta = constraints.iter().map(|c| factor * c.weight * (c.value / self.q_min - 1.0));
        (margin.powf(-1.0 / self.degree) * gap, delta.fold(0.0, f64::max))
    }
}

/// The best non-negative multipliers for these constraints: ε, δ and their number.
pub(super) fn fit(theta: &[f64], near: &Near, scale: &Scale) -> (f64, f64, usize) {
    let (epsilon, delta, lambda) = multipliers(theta, near, scale);
    (epsilon, delta, lambda.len())
}

/// ε, δ and the multipliers themselves.
pub(super) fn multipliers(theta: &[f64], near: &Near, scale: &Scale) -> (f64, f64, Vec<f64>) {
    let Scale { q_min, degree, .. } = *scale;
    let shrink = q_min.powf(1.0 / degree - 1.0);
    let theta: Vec<f64> = theta.iter().map(|t| t / q_min.powf(1.0 / degree)).collect();
    let k = near.gradients.len();
    let gram: Vec<f64> = near.gram.iter().map(|g| shrink * shrink * g).collect();
    let b: Vec<f64> = near.gradients.iter().map(|h| shrink * dot(h, &theta)).collect();
    let mut solver = Nnls::new();
    let fit = solver.solve(Gram::new(&gram, k, k), &b, &[]);
    // The residual from the vectors: from the Gram matrix it would lose half the digits.
    let mut residual = theta;
    for (lambda, gradient) in fit.lambda.iter().zip(&near.gradients) {
        axpy(-lambda * shrink, gradient, &mut residual);
    }
    let slack = near.constraints.iter().zip(fit.lambda).map(|(c, l)| l * (c.value / q_min - 1.0));
    (norm(&residual), slack.fold(0.0, f64::max), fit.lambda.to_vec())
}

/// The constraints that explain θ best: the near-support set with the multipliers of the fit.
#[derive(Clone, Debug)]
pub struct Support {
    /// The constraints.
    pub constraints: Vec<Constraint>,
    /// Their best non-negative multipliers, at θ̃ = θ/q_min^{1/L}; Σ λ = ‖θ̃‖²/L at a KKT point.
    pub lambda: Vec<f64>,
    /// ‖θ̃ − Σ λ h̃‖.
    pub epsilon: f64,
    /// max λ (q/q_min − 1).
    pub delta: f64,
}

impl Support {
    /// The best multipliers over the constraints within `within`·q_min of q_min, at most the `most` nearest. None before the
    /// data are separated, and where a foreign model fails.
    pub fn of(at: &Snapshot<'_>, degree: f64, within: f64, most: usize) -> Option<Support> {
        let scale = Scale { rho: at.rho, q_min: at.q_min(), degree };
        if !(scale.q_min > 0.0) {
            return None;
        }
        let near = at.near(within, most)?;
        let (epsilon, delta, lambda) = multipliers(at.theta, &near, &scale);
        Some(Support { constraints: near.constraints.clone(), lambda, epsilon, delta })
    }
}

impl Entry for Kkt {
    const ABOUT: &'static str = "KKT residuals (epsilon, delta) of the margin problem, three ways";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
