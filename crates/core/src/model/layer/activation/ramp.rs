//! σ(z) = a·max(z, 0) + b·min(z, 0): every homogeneous function of degree 1 on the line.

use serde::{Deserialize, Serialize};

use super::special::side;
use super::{Curve, Facts};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// right·max(z, 0) + left·min(z, 0): what any near-homogeneous activation of degree 1 becomes far from 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Slope on the positive side.
    pub right: f64,
    /// Slope on the negative side.
    pub left: f64,
}

impl Curve for Ramp {
    fn value(&self, z: f64) -> f64 {
        // A NaN is neither and passes through.
        if z > 0.0 { self.right * z } else { self.left * z }
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        side(z, self.left, self.right, at_kink)
    }

    fn facts(&self) -> Facts {
        Facts::of_ramp(self.right, self.left, self.clone().into())
    }

    fn check(&self) -> Result<(), Invalid> {
        for (name, slope) in [("right", self.right), ("left", self.left)] {
            if !slope.is_finite() {
                return Err(Invalid::new(name, format!("{slope} is not a slope; use a finite number")));
            }
        }
        Ok(())
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x)));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        wide(|| {
            let each = dx.iter_mut().zip(x).zip(dy);
            each.for_each(|((dx, x), dy)| *dx = side(*x, self.left, self.right, at_kink) * dy);
        });
    }
}

impl Entry for Ramp {
    const ABOUT: &'static str = "right max(z, 0) + left min(z, 0)";
    const EXAMPLE: &'static str = "right = 1.0\nleft = -0.5";
    const CITE: &'static [Cite] = &[];
}
