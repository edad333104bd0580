//! σ(z) = max(z, 0)^p.

use serde::{Deserialize, Serialize};

use super::super::gate;
use super::special::side;
use super::{Curve, Facts};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::numeric::wide;

/// max(z, 0)^p: homogeneous of degree p, smooth from p = 2 on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReluPower {
    /// The power, at least 1; 2 by default.
    #[serde(default = "two")]
    pub p: f64,
}

fn two() -> f64 {
    2.0
}

fn power(z: f64, p: f64) -> f64 {
    match p {
        1.0 => z,
        2.0 => z * z,
        3.0 => z * z * z,
        _ => z.powf(p),
    }
}

impl Curve for ReluPower {
    fn value(&self, z: f64) -> f64 {
        power(gate(z, z), self.p)
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        if self.p == 1.0 { side(z, 0.0, 1.0, at_kink) } else { self.p * power(gate(z, z), self.p - 1.0) }
    }

    fn facts(&self) -> Facts {
        Facts {
            power: self.p,
            defect: 0.0,
            gap: 0.0,
            slopes: [0.0, self.p],
            kinks: if self.p == 1.0 { vec![0.0] } else { Vec::new() },
            homogenized: Ok(self.clone().into()),
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.p >= 1.0 && self.p.is_finite() {
            return Ok(());
        }
        let text =
            format!("{} is not a power; use p ≥ 1 (below 1 the derivative is unbounded at the kink)", self.p);
        Err(Invalid::new("p", text))
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        if self.p == 2.0 {
            return wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = gate(*x, *x) * x));
        }
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        if self.p == 2.0 {
            return wide(|| {
                dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = 2.0 * gate(*x, *x) * dy)
            });
        }
        dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = self.slope(*x, at_kink) * dy);
    }
}

impl Entry for ReluPower {
    const ABOUT: &'static str = "max(z, 0)^p";
    const EXAMPLE: &'static str = "p = 2.0";
    const CITE: &'static [Cite] = &[];
}
