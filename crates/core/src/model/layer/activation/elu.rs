//! σ(z) = z for z ≥ 0, α(e^z − 1) below.

use serde::{Deserialize, Serialize};

use super::special::side;
use super::{Curve, Facts};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};

/// z for z ≥ 0, α(e^z − 1) below, with a kink at 0 unless α = 1. zσ' − σ rises from 0 to α as z falls to −∞.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elu {
    /// α, at least 0; 1 by default.
    #[serde(default = "one")]
    pub alpha: f64,
}

fn one() -> f64 {
    1.0
}

impl Curve for Elu {
    fn value(&self, z: f64) -> f64 {
        if z < 0.0 { self.alpha * z.exp_m1() } else { z }
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        if z < 0.0 { self.alpha * z.exp() } else { side(z, self.alpha, 1.0, at_kink) }
    }

    fn facts(&self) -> Facts {
        let kinks = if self.alpha == 1.0 { Vec::new() } else { vec![0.0] };
        Facts { kinks, ..Facts::near_relu(self.alpha, self.alpha, [0.0, self.alpha.max(1.0)]) }
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.alpha >= 0.0 && self.alpha.is_finite() {
            return Ok(());
        }
        Err(Invalid::new("alpha", format!("{} is not allowed; use a finite number of 0 or more", self.alpha)))
    }
}

impl Entry for Elu {
    const ABOUT: &'static str = "z, or alpha (e^z - 1) where z < 0";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
