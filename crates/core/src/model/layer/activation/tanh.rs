//! σ(z) = tanh z, which saturates.

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// tanh z. It saturates: σ(rz)/r → 0, so no homogenization is left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {}

impl Curve for Tanh {
    fn value(&self, z: f64) -> f64 {
        z.tanh()
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        let e = (-2.0 * z.abs()).exp();
        // sech²z = 4e^{−2|z|}/(1 + e^{−2|z|})²: 1 − tanh² would lose the tail.
        4.0 * e / ((1.0 + e) * (1.0 + e))
    }

    fn facts(&self) -> Facts {
        Facts::saturating("tanh", 1.0)
    }
}

impl Entry for Tanh {
    const ABOUT: &'static str = "tanh z, which saturates: no degree";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
