//! σ(z) = z·min(max(z + 3, 0), 6)/6, SiLU in three pieces.

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// z·clip(z + 3, 0, 6)/6, with kinks at ±3. zσ' − σ = z²/6 between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardswish {}

impl Curve for Hardswish {
    fn value(&self, z: f64) -> f64 {
        z * (z + 3.0).clamp(0.0, 6.0) / 6.0
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        if z <= -3.0 {
            if z == -3.0 { -0.5 * at_kink } else { 0.0 }
        } else if z >= 3.0 {
            if z == 3.0 { 1.5 - 0.5 * at_kink } else { 1.0 }
        } else {
            (2.0 * z + 3.0) / 6.0
        }
    }

    fn facts(&self) -> Facts {
        // |σ − ReLU| = |z|(3 − |z|)/6, largest at 3/2.
        Facts { kinks: vec![-3.0, 3.0], ..Facts::near_relu(1.5, 0.375, [-0.5, 1.5]) }
    }
}

impl Entry for Hardswish {
    const ABOUT: &'static str = "z clip(z + 3, 0, 6)/6";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
