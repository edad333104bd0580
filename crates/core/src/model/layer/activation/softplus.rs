//! σ(z) = ln(1 + e^z), a smooth ReLU.

use serde::{Deserialize, Serialize};

use super::special::sigmoid;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::numeric::softplus;
use std::f64::consts::LN_2;

/// ln(1 + e^z). zσ' − σ lies between −ln 2, at 0, and 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softplus {}

impl Curve for Softplus {
    fn value(&self, z: f64) -> f64 {
        softplus(z)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        sigmoid(z)
    }

    fn facts(&self) -> Facts {
        Facts::near_relu(LN_2, LN_2, [0.0, 1.0])
    }
}

impl Entry for Softplus {
    const ABOUT: &'static str = "ln(1 + e^z)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
