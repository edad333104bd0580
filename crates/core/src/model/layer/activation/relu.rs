//! σ(z) = max(z, 0).

use serde::{Deserialize, Serialize};

use super::super::gate;
use super::special::side;
use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// max(z, 0): homogeneous of degree 1, with a kink at 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

impl Curve for Relu {
    fn value(&self, z: f64) -> f64 {
        gate(z, z)
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        side(z, 0.0, 1.0, at_kink)
    }

    fn facts(&self) -> Facts {
        Facts::of_ramp(1.0, 0.0, self.clone().into())
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = gate(*x, *x)));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        if at_kink == 0.0 {
            wide(|| dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = gate(*x, *dy)));
        } else {
            wide(|| {
                let each = dx.iter_mut().zip(x).zip(dy);
                each.for_each(|((dx, x), dy)| *dx = side(*x, 0.0, 1.0, at_kink) * dy);
            });
        }
    }
}

impl Entry for Relu {
    const ABOUT: &'static str = "max(z, 0)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}
