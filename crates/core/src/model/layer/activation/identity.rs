//! σ(z) = z.

use serde::{Deserialize, Serialize};

use super::{Curve, Facts};
use crate::catalogue::Entry;
use crate::cite::Cite;

/// z: a deep linear network.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {}

impl Curve for Identity {
    fn value(&self, z: f64) -> f64 {
        z
    }

    fn slope(&self, _z: f64, _at_kink: f64) -> f64 {
        1.0
    }

    fn facts(&self) -> Facts {
        Facts::of_ramp(1.0, 1.0, self.clone().into())
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        y.copy_from_slice(x);
    }

    fn slopes(&self, _x: &[f64], dy: &[f64], dx: &mut [f64], _at_kink: f64) {
        dx.copy_from_slice(dy);
    }
}

impl Entry for Identity {
    const ABOUT: &'static str = "z";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}
