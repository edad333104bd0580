//! σ(z) = zΦ(z) with Φ the normal distribution, exactly.

use serde::{Deserialize, Serialize};

use super::special::{normal_cdf, normal_density};
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// zΦ(z), Φ(z) = erfc(−z/√2)/2. zσ' − σ = z²φ(z) ≤ 2φ(√2), φ the normal density.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelu {}

impl Curve for Gelu {
    fn value(&self, z: f64) -> f64 {
        z * normal_cdf(z)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        normal_cdf(z) + z * normal_density(z)
    }

    fn facts(&self) -> Facts {
        // sup |z|Φ(−|z|), at 0.7518; the slopes' extremes at ∓√2.
        Facts::near_relu(
            0.293_525_326_347_479_9,
            0.169_971_207_479_903_7,
            [-0.128_904_145_185_154_8, 1.128_904_145_185_154_9],
        )
    }
}

impl Entry for Gelu {
    const ABOUT: &'static str = "z Phi(z), with the exact normal distribution";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
