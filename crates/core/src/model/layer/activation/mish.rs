//! σ(z) = z·tanh(ln(1 + e^z)).

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// z·ω(z), ω = tanh(ln(1 + e^z)). zσ' − σ = z²ω' is largest at z = −2.2564.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mish {}

/// ω and ω'. With e = e^{−|z|}: for z < 0, ω = e(2+e)/(2+2e+e²) and ω' = 4e(1+e)/(2+2e+e²)²; for z ≥ 0,
/// ω = (1+2e)/(1+2e+2e²) and ω' = 4e²(1+e)/(1+2e+2e²)². Nothing cancels and nothing overflows.
fn gate(z: f64) -> (f64, f64) {
    let e = (-z.abs()).exp();
    if z < 0.0 {
        let below = 2.0 + e * (2.0 + e);
        (e * (2.0 + e) / below, 4.0 * e * (1.0 + e) / (below * below))
    } else {
        let below = 1.0 + e * (2.0 + 2.0 * e);
        ((1.0 + 2.0 * e) / below, 4.0 * e * e * (1.0 + e) / (below * below))
    }
}

impl Curve for Mish {
    fn value(&self, z: f64) -> f64 {
        z * gate(z).0
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        let (gate, slope) = gate(z);
        gate + z * slope
    }

    fn facts(&self) -> Facts {
        // sup |σ − ReLU|, at −1.1924; the slopes' extremes at −2.2564 and 1.4906.
        Facts::near_relu(
            0.477_896_899_312_086_5,
            0.308_843_413_017_250_7,
            [-0.112_526_122_389_462_6, 1.088_498_161_251_727_9],
        )
    }
}

impl Entry for Mish {
    const ABOUT: &'static str = "z tanh(ln(1 + e^z))";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
