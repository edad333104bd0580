//! σ(z) = 1/(1 + e^{−z}), which saturates.

use serde::{Deserialize, Serialize};

use super::special::sigmoid;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// 1/(1 + e^{−z}). It saturates: σ(rz)/r → 0, so no homogenization is left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

impl Curve for Sigmoid {
    fn value(&self, z: f64) -> f64 {
        sigmoid(z)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        sigmoid(z) * sigmoid(-z)
    }

    fn facts(&self) -> Facts {
        Facts::saturating("sigmoid", 0.25)
    }
}

impl Entry for Sigmoid {
    const ABOUT: &'static str = "1/(1 + e^-z), which saturates: no degree";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
