//! The exponential loss: ℓ(q) = e^{−q}.

use serde::{Deserialize, Serialize};

use super::{Constraint, Loss, Parts, Reduction, accumulate_binary, binary_outputs, sign};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::numeric::Scaled;

/// ℓ(q) = e^{−q} for binary problems; ln ℓ = ln(−ℓ') = −q.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// `sum` (default) or `mean`.
    #[serde(default)]
    pub reduction: Reduction,
}

impl Loss for Exponential {
    fn outputs(&self, classes: usize) -> Result<usize, Invalid> {
        binary_outputs("the exponential loss", classes)
    }

    fn accumulate(&self, out: &[f64], labels: &[u32], into: &mut Scaled, cot: &mut [f64]) -> f64 {
        accumulate_binary(out, labels, into, cot, |q| Parts { anchor: -q, value: 1.0, slope: 1.0 })
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
        u
    }

    fn ln_threshold(&self) -> f64 {
        0.0
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

pub(super) fn binary_constraint(example: usize, label: u32, out: &[f64], cot: &[f64]) -> Constraint {
    Constraint { example, rival: 0, value: sign(label) * out[0], weight: -sign(label) * cot[0] }
}

impl Entry for Exponential {
    const ABOUT: &'static str = "exp(-q), binary";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
