//! σ(z) = z².

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// z²: homogeneous of degree 2.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quadratic {}

impl Curve for Quadratic {
    fn value(&self, z: f64) -> f64 {
        z * z
    }

    fn slope(&self, z: f64, _at_kink: f64) -> f64 {
        2.0 * z
    }

    fn facts(&self) -> Facts {
        Facts {
            power: 2.0,
            defect: 0.0,
            gap: 0.0,
            slopes: [-2.0, 2.0],
            kinks: Vec::new(),
            homogenized: Ok(self.clone().into()),
        }
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = x * x));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], _at_kink: f64) {
        wide(|| dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = 2.0 * x * dy));
    }
}

impl Entry for Quadratic {
    const ABOUT: &'static str = "z^2";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}
