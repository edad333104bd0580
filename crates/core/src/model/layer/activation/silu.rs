//! σ(z) = z/(1 + e^{−z}), also called swish.

use serde::{Deserialize, Serialize};

use super::special::sigmoid;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// z·s(z) with s the logistic function. zσ' − σ = z²s(z)s(−z), largest at z = ±2.3994.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silu {}

impl Curve for Silu {
    fn value(&self, z: f64) -> f64 {
        z * sigmoid(z)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        sigmoid(z) * (1.0 + z * sigmoid(-z))
    }

    fn facts(&self) -> Facts {
        // sup z²s(1 − s); sup |z|s(−|z|), at 1.2785; the slopes' extremes at ∓2.3994.
        Facts::near_relu(
            0.439_228_839_890_646,
            0.278_464_542_761_074_2,
            [-0.099_839_320_128_867, 1.099_839_320_128_867_1],
        )
    }
}

impl Entry for Silu {
    const ABOUT: &'static str = "z/(1 + e^-z)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
