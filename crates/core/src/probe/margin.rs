//! Normalised margins.
//!
//! q_min/‖θ‖^L in ℓ2 and in other norms, q_min/Π‖W_i‖^{k_i}, and the smoothed margin ℓ⁻¹(𝓛_sum)/ρ^L, which gradient flow
//! never lowers after separation (Lyu & Li 2020, Theorem 4.1). The smoothed margin uses the *sum* whatever the spec's
//! reduction: with a mean it is off by ln n/ρ^L.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot, needs_degree};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020, TSILIVIS_2024};
use crate::norm::{AnyNorm, L1, Linf, Norm};
use crate::numeric::norm;

/// `q_min`, `margin` = q_min/ρ^L, `margin_product` = q_min/Π‖W_i‖_F^{k_i} (NaN where blocks have no degree),
/// `smooth_margin` = ℓ⁻¹(𝓛_sum)/ρ^L (Lyu & Li, eq. 3), `smooth_margin_product` with the product of block norms below (their
/// eq. 5), `margin_linf`, `smooth_margin_linf` and so for `l1` (Tsilivis et al.'s smooth margins of other geometries; named
/// by the norm that divides, there by its dual: γ₁ and γ_∞) and the algorithm's own norms, and `support`, the number of
/// constraints within `within`·|q_min| of q_min. With `decades` = K also `support_1` … `support_K`: the number of
/// examples with q_n < q_min + k ln 10, whose loss is within k decades of the largest (Lyu & Li's code counts them so).
/// Models of order M use M for L.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Relative width of the support band, 0.01 by default.
    #[serde(default = "hundredth")]
    pub within: f64,
    /// Norms whose margins are measured besides ℓ2 and the algorithm's own; `l1` and `linf` by default.
    #[serde(default = "others")]
    pub norms: Vec<AnyNorm>,
    /// Up to how many decades of loss support is counted; 0 by default.
    #[serde(default)]
    pub decades: u32,
    #[serde(skip)]
    degree: f64,
    /// Column suffix and norm, the listed ones first.
    #[serde(skip)]
    measured: Vec<(String, Arc<dyn Norm>)>,
}

fn hundredth() -> f64 {
    0.01
}

fn others() -> Vec<AnyNorm> {
    vec![L1 {}.into(), Linf {}.into()]
}

impl Probe for Margin {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0 && self.within.is_finite()) {
            return Err(Invalid::new("within", format!("{} is not allowed; use 0 or more", self.within)));
        }
        self.degree = needs_degree("margin", context.problem)?;
        let fixed =
            ["q_min", "margin", "margin_product", "smooth_margin", "smooth_margin_product", "support"];
        let mut columns = fixed.map(String::from).to_vec();
        columns.extend((1..=self.decades).map(|k| format!("support_{k}")));
        self.measured.clear();
        let layout = context.problem.model.layout();
        for (k, norm) in self.norms.iter().enumerate() {
            let (at, norm) = (format!("norms[{k}]"), norm.build());
            norm.check(layout).map_err(|e| {
                Invalid::new(
                    if e.field.is_empty() { at.clone() } else { format!("{at}.{}", e.field) },
                    e.message,
                )
            })?;
            let column = norm.column();
            if self.measured.iter().any(|(known, _)| *known == column) {
                let text = format!(
                    "a second norm with the column margin_{column}; take one out, or give a blockwise norm its own `name`"
                );
                return Err(Invalid::new(at, text));
            }
            self.measured.push((column, norm.into()));
        }
        for norm in &context.norms {
            // The algorithm has checked its own norms. ℓ2 is `margin` itself.
            let norm = norm.build();
            let column = norm.column();
            if column != "l2" && self.measured.iter().all(|(known, _)| *known != column) {
                self.measured.push((column, norm.into()));
            }
        }
        for (column, _) in &self.measured {
            columns.extend([format!("margin_{column}"), format!("smooth_margin_{column}")]);
        }
        Ok(columns)
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let q_min = at.q_min();
        let layout = at.problem.model.layout();
        row.put("q_min", q_min * at.growth());
        row.put("margin", q_min / at.height(self.degree));
        // Blocks of one layer share a degree and a norm: a first-layer bias counts with its weights. What the
        // homogenization drops, such as a bias of a later layer, is left out.
        let mut product = 1.0;
        let mut layers: Vec<(&str, f64, f64)> = Vec::new();
        for block in layout.blocks() {
            if block.degree == 0.0 {
                continue;
            }
            let layer = block.layer();
            let size = norm(block.of(at.theta));
            match layers.iter_mut().find(|(name, ..)| *name == layer) {
                Some((_, known, _)) => *known = known.hypot(size),
                None => layers.push((layer, size, block.degree)),
            }
        }
        layers.iter().for_each(|(_, size, degree)| product *= size.powf(*degree));
        row.put("margin_product", q_min / product);
        let u = -at.full.ln_loss_sum;
        let smooth = at.problem.loss.inverse(u);
        row.put("smooth_margin", smooth / at.height(self.degree));
        row.put("smooth_margin_product", smooth / product);
        let band = q_min + self.within * q_min.abs();
        row.put("support", at.constraints().iter().filter(|c| c.value <= band).count() as f64);
        if self.decades > 0 {
            let mut least = vec![f64::INFINITY; at.problem.train.n()];
            at.constraints().iter().for_each(|c| least[c.example] = c.value.min(least[c.example]));
            for k in 1..=self.decades {
                let band = q_min + f64::from(k) * std::f64::consts::LN_10;
                row.put(&format!("support_{k}"), least.iter().filter(|q| **q < band).count() as f64);
            }
        }
        for (column, norm) in &self.measured {
            let height = norm.of(at.theta, layout).powf(self.degree);
            row.put(&format!("margin_{column}"), q_min / height);
            row.put(&format!("smooth_margin_{column}"), smooth / height);
        }
    }
}

impl Entry for Margin {
    const ABOUT: &'static str = "normalised and smoothed margins, number of support vectors";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, TSILIVIS_2024];
}
