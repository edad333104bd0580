//! σ(z) = (z/2)(1 + tanh(√(2/π)(z + 0.044715 z³))), the common approximation of GELU.

use serde::{Deserialize, Serialize};

use super::special::sigmoid;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// z·s(2u), u = √(2/π)(z + 0.044715 z³), s the logistic function. zσ' − σ is largest at z = ±1.4185.
///
/// # Accuracy
/// The argument 2u is rounded: a relative error of |u|·2⁻⁵² in the left tail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeluTanh {}

/// √(2/π).
const ROOT: f64 = 0.797_884_560_802_865_4;
/// The coefficient of Hendrycks and Gimpel's approximation.
const CUBIC: f64 = 0.044_715;

fn twice_u(z: f64) -> f64 {
    2.0 * ROOT * (z + CUBIC * z * z * z)
}

impl Curve for GeluTanh {
    fn value(&self, z: f64) -> f64 {
        z * sigmoid(twice_u(z))
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        let v = twice_u(z);
        let s = sigmoid(v);
        // Beyond, s(v)s(−v) is 0 in f64 and z·v' may be infinite.
        if z.abs() > 40.0 {
            return s;
        }
        s + z * 2.0 * ROOT * (1.0 + 3.0 * CUBIC * z * z) * s * sigmoid(-v)
    }

    fn facts(&self) -> Facts {
        // sup |z|s(−|v|), at 0.7525; the slopes' extremes at ∓1.4185.
        Facts::near_relu(
            0.293_882_665_649_001_4,
            0.170_040_750_571_254_1,
            [-0.128_993_068_658_771_8, 1.128_993_068_658_771_8],
        )
    }
}

impl Entry for GeluTanh {
    const ABOUT: &'static str = "GELU in the tanh form";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
