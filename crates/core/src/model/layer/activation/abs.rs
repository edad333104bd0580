//! σ(z) = |z|.

use serde::{Deserialize, Serialize};

use super::special::side;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// |z|: homogeneous of degree 1, with a kink at 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abs {}

impl Curve for Abs {
    fn value(&self, z: f64) -> f64 {
        z.abs()
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        side(z, -1.0, 1.0, at_kink)
    }

    fn facts(&self) -> Facts {
        Facts::of_ramp(1.0, -1.0, self.clone().into())
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x)));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        wide(|| {
            let each = dx.iter_mut().zip(x).zip(dy);
            each.for_each(|((dx, x), dy)| *dx = side(*x, -1.0, 1.0, at_kink) * dy);
        });
    }
}

impl Entry for Abs {
    const ABOUT: &'static str = "|z|";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}
