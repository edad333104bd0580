//! The top eigenvalue of the Hessian of ln 𝓛.
//!
//! ∇² ln 𝓛 = Cov_w(∇q) − Σ w_i ∇²q_i for the exponential loss, w its softmax weights: a number of ordinary size at any loss, unlike
//! the Hessian of 𝓛, which is 𝓛·(∇² ln 𝓛 + ∇ ln 𝓛 ∇ ln 𝓛ᵀ).

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::Invalid;
use crate::RowSet;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::lanczos::largest;
use crate::numeric::{norm, shifted};
use crate::rng::stream;
use rand::distr::Distribution;
use rand_distr::StandardNormal;

/// `sharpness` = λ_max(∇² ln 𝓛) over the full training set; `sharpness_scale_free` = `sharpness`·ρ²; `sharpness_residual`: some
/// eigenvalue lies within this part of it. NaN where Lanczos' method fails.
///
/// Products with the Hessian are central differences of ∇ ln 𝓛 over 1e-4/‖∇ ln 𝓛‖, at most 1e-4·ρ: exact to about 1e-7. At a ReLU kink
/// they are difference quotients, and grow like the jump of the gradient over that step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpness {
    /// Most products with the Hessian, two evaluations each; 40 by default.
    #[serde(default = "forty")]
    pub products: usize,
    /// Relative residual that is enough, 1e-3 by default.
    #[serde(default = "thousandth")]
    pub tolerance: f64,
}

fn forty() -> usize {
    40
}

fn thousandth() -> f64 {
    1e-3
}

impl Default for Sharpness {
    fn default() -> Self {
        Sharpness { products: forty(), tolerance: thousandth() }
    }
}

const COLUMNS: [&str; 3] = ["sharpness", "sharpness_scale_free", "sharpness_residual"];
/// Length of a difference, relative to the change of θ that changes ln 𝓛 by 1.
const STEP: f64 = 1e-4;

impl Probe for Sharpness {
    fn begin(&mut self, _context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if self.products == 0 {
            return Err(Invalid::new("products", "at least 1 product is needed"));
        }
        if !(self.tolerance >= 0.0) {
            return Err(Invalid::new("tolerance", format!("{} is negative or no number", self.tolerance)));
        }
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let step = STEP * at.rho.min(1.0 / norm(&at.full.grad));
        let (mut up, mut down) = (vec![0.0; at.theta.len()], vec![0.0; at.theta.len()]);
        let product = |v: &[f64]| {
            shifted(at.theta, step, v, &mut up);
            shifted(at.theta, -step, v, &mut down);
            let plus = at.problem.eval(&up, &RowSet::Full).ok()?.grad;
            let minus = at.problem.eval(&down, &RowSet::Full).ok()?.grad;
            Some(plus.iter().zip(&minus).map(|(a, b)| (a - b) / (2.0 * step)).collect())
        };
        let mut rng = stream(0, "probe.sharpness", 0);
        let start: Vec<f64> = (0..at.theta.len()).map(|_| StandardNormal.sample(&mut rng)).collect();
        let top = largest(&start, self.products, self.tolerance, product);
        let values = top.map_or([f64::NAN; 3], |top| {
            [top.value, top.value * at.rho * at.rho, top.residual / top.value.abs()]
        });
        COLUMNS.iter().zip(values).for_each(|(column, value)| row.put(column, value));
    }
}

impl Entry for Sharpness {
    const ABOUT: &'static str = "top eigenvalue of the Hessian of ln L (on request: costly)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
