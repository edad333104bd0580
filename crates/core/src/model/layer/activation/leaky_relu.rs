//! σ(z) = max(z, 0) + c·min(z, 0).

use serde::{Deserialize, Serialize};

use super::special::side;
use super::{Curve, Facts};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// max(z, 0) + slope·min(z, 0): homogeneous of degree 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// Slope on the negative side, 0.01 by default.
    #[serde(default = "hundredth")]
    pub slope: f64,
}

fn hundredth() -> f64 {
    0.01
}

impl Curve for LeakyRelu {
    fn value(&self, z: f64) -> f64 {
        // A NaN is neither and passes through.
        if z > 0.0 { z } else { self.slope * z }
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        side(z, self.slope, 1.0, at_kink)
    }

    fn facts(&self) -> Facts {
        Facts::of_ramp(1.0, self.slope, self.clone().into())
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.slope.is_finite() {
            return Ok(());
        }
        Err(Invalid::new("slope", format!("{} is not a slope; use a finite number", self.slope)))
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x)));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        wide(|| {
            let each = dx.iter_mut().zip(x).zip(dy);
            each.for_each(|((dx, x), dy)| *dx = side(*x, self.slope, 1.0, at_kink) * dy);
        });
    }
}

impl Entry for LeakyRelu {
    const ABOUT: &'static str = "max(z, 0) + slope min(z, 0)";
    const EXAMPLE: &'static str = "slope = 0.1";
    const CITE: &'static [Cite] = &[];
}
