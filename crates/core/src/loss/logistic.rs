//! The logistic loss: ℓ(q) = ln(1 + e^{−q}).
//!
//! ln ℓ = ln ln(1 + e^{−q}) = −q − e^{−q}/2 + …, and ln(−ℓ') = −softplus(q).

use serde::{Deserialize, Serialize};

use super::exponential::binary_constraint;
use super::{Constraint, Loss, Parts, Reduction, accumulate_binary, binary_outputs, sign};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::numeric::{Scaled, logistic_inverse, softplus};

/// ℓ(q) = ln(1 + e^{−q}) for binary problems.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// `sum` (default) or `mean`.
    #[serde(default)]
    pub reduction: Reduction,
}

fn parts(q: f64) -> Parts {
    if q > 37.0 {
        // ℓ = e^{−q}(1 − e^{−q}/2 + …) and −ℓ' = e^{−q}(1 − e^{−q} + …): the corrections are below half an ulp.
        Parts { anchor: -q, value: 1.0, slope: 1.0 }
    } else if q > 0.0 {
        let e = (-q).exp();
        Parts { anchor: 0.0, value: e.ln_1p(), slope: e / (1.0 + e) }
    } else {
        Parts { anchor: 0.0, value: softplus(-q), slope: 1.0 / (1.0 + q.exp()) }
    }
}

impl Loss for Logistic {
    fn outputs(&self, classes: usize) -> Result<usize, Invalid> {
        binary_outputs("the logistic loss", classes)
    }

    fn accumulate(&self, out: &[f64], labels: &[u32], into: &mut Scaled, cot: &mut [f64]) -> f64 {
        accumulate_binary(out, labels, into, cot, parts)
    }

    fn constraints(&self, example: usize, label: u32, out: &[f64], cot: &[f64], to: &mut Vec<Constraint>) {
        to.push(binary_constraint(example, label, out, cot));
    }

    fn constraint_cotangent(&self, label: u32, _rival: usize, cot: &mut [f64]) {
        cot[0] = sign(label);
    }

    fn is_correct(&self, label: u32, out: &[f64]) -> bool {
        sign(label) * out[0] > 0.0
    }

    fn inverse(&self, u: f64) -> f64 {
        logistic_inverse(u)
    }

    fn ln_threshold(&self) -> f64 {
        std::f64::consts::LN_2.ln()
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

impl Entry for Logistic {
    const ABOUT: &'static str = "ln(1 + exp(-q)), binary";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
