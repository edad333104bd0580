//! β = cos ∠(θ, −∇𝓛): 1 − β is stationarity of the direction where the field is smooth.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020, LYU_LI_2020};
use crate::numeric::{dot, norm};

/// `beta` of the single gradient, `beta_bundle` of the algorithm's aggregated direction (NaN where it has none),
/// `nu_rel` = Σ w_i q_i, and `euler_defect` = |⟨θ, ∇ ln 𝓛⟩ + L·Σ w_i q_i| relative to ρ‖∇ ln 𝓛‖: beyond rounding
/// it means a wrong gradient or a wrong degree (NaN unless the degree is exact).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alignment {}

impl Probe for Alignment {
    fn begin(&mut self, _context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        Ok(["beta", "beta_bundle", "nu_rel", "euler_defect"].map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let gradient = &at.full.grad;
        let size = norm(gradient);
        let radial = -dot(at.theta, gradient);
        row.put("beta", radial / (at.rho * size));
        let bundle = at.field.map(|f| dot(at.theta, &f.direction) / (at.rho * norm(&f.direction)));
        row.put("beta_bundle", bundle.unwrap_or(f64::NAN));
        let nu: f64 = at.constraints().iter().map(|c| c.weight * c.value).sum();
        row.put("nu_rel", nu);
        let degree = at.problem.model.degree();
        let defect = match degree.order() {
            Some(l) if degree.is_exact() => (radial - l * nu).abs() / (at.rho * size),
            _ => f64::NAN,
        };
        row.put("euler_defect", defect);
    }
}

impl Entry for Alignment {
    const ABOUT: &'static str = "beta = cos(theta, -grad), and Euler's identity";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, JI_TELGARSKY_2020];
}
