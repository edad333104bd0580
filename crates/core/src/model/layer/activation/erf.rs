//! σ(z) = erf z, which saturates.

use serde::{Deserialize, Serialize};

use super::special::exp_minus_square;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use std::f64::consts::FRAC_2_SQRT_PI;

/// erf z. It saturates: σ(rz)/r → 0, so no homogenization is left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erf {}

impl Curve for Erf {
    fn value(&self, z: f64) -> f64 {
        libm::erf(z)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        // (2/√π)e^{−z²}.
        FRAC_2_SQRT_PI * exp_minus_square(z, 1.0)
    }

    fn facts(&self) -> Facts {
        Facts::saturating("erf", FRAC_2_SQRT_PI)
    }
}

impl Entry for Erf {
    const ABOUT: &'static str = "erf z, which saturates: no degree";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
