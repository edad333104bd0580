//! ReLU with its corner rounded by a parabola.

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::numeric::wide;

/// 0 for z ≤ 0, z²/(2h) up to h, z − h/2 beyond: slopes are continuous. zσ' − σ = min(z, h)²/(2h) for z > 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HuberRelu {
    /// Width h of the rounded corner, positive; 1 by default.
    #[serde(default = "one")]
    pub h: f64,
}

fn one() -> f64 {
    1.0
}

impl Curve for HuberRelu {
    fn value(&self, z: f64) -> f64 {
        let inside = z.clamp(0.0, self.h);
        // z²/(2h) up to h, then h/2 + (z − h).
        0.5 * inside * (inside / self.h) + (z - self.h).max(0.0)
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        (z / self.h).clamp(0.0, 1.0)
    }

    fn facts(&self) -> Facts {
        Facts::near_relu(0.5 * self.h, 0.5 * self.h, [0.0, 1.0])
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.h > 0.0 && self.h.is_finite() {
            return Ok(());
        }
        Err(Invalid::new("h", format!("{} is not a width; use a positive finite number", self.h)))
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x)));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        wide(|| dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = self.slope(*x, at_kink) * dy));
    }
}

impl Entry for HuberRelu {
    const ABOUT: &'static str = "max(z, 0) with a parabola of width h for a corner";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}
