//! σ(z) = cz + (1 − c)X(z) for another activation X.

use serde::{Deserialize, Serialize};

use super::{Curve, Facts, Nonlinearity, Ramp};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::numeric::wide;

/// c·z + (1 − c)·X(z), X of degree 1 or saturating. e_σ = (1 − c)e_X, and σ_H has the slopes of X_H mixed with c.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaky {
    /// X: an activation of degree 1.
    pub of: Box<Nonlinearity>,
    /// The share of z itself, in [0, 1]; 0.01 by default.
    #[serde(default = "hundredth")]
    pub c: f64,
}

fn hundredth() -> f64 {
    0.01
}

impl Curve for Leaky {
    fn value(&self, z: f64) -> f64 {
        self.c * z + (1.0 - self.c) * self.of.build().value(z)
    }

    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        self.c + (1.0 - self.c) * self.of.build().slope(z, at_kink)
    }

    fn facts(&self) -> Facts {
        let inner = self.of.facts();
        let mix = |slope: f64| self.c + (1.0 - self.c) * slope;
        // σ_H is linear on each side: its slopes are its values at ±1. A saturating X leaves cz.
        let homogenized = match inner.homogenized {
            Err(why) if self.c == 0.0 => Err(why),
            of => {
                let at = |z: f64| of.as_ref().map_or(0.0, |of| of.build().value(z));
                Ok(Ramp { right: mix(at(1.0)), left: mix(-at(-1.0)) }.into())
            }
        };
        Facts {
            power: 1.0,
            defect: (1.0 - self.c) * inner.defect,
            gap: (1.0 - self.c) * inner.gap,
            slopes: inner.slopes.map(mix),
            kinks: if self.c == 1.0 { Vec::new() } else { inner.kinks },
            homogenized,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        self.of.build().check().map_err(|e| Invalid::new(format!("of.{}", e.field), e.message))?;
        if !(0.0..=1.0).contains(&self.c) {
            return Err(Invalid::new("c", format!("{} is not in [0, 1]", self.c)));
        }
        let power = self.of.power();
        if power != 1.0 {
            let text =
                format!("{} has degree {power} in its input; a leak needs one of degree 1", self.of.name());
            return Err(Invalid::new("of", text));
        }
        Ok(())
    }

    fn values(&self, x: &[f64], y: &mut [f64]) {
        self.of.build().values(x, y);
        let (c, rest) = (self.c, 1.0 - self.c);
        wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = c * x + rest * *y));
    }

    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        self.of.build().slopes(x, dy, dx, at_kink);
        let (c, rest) = (self.c, 1.0 - self.c);
        wide(|| dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = c * dy + rest * *dx));
    }
}

impl Entry for Leaky {
    const ABOUT: &'static str = "c z + (1 - c) X(z) for another activation X";
    const EXAMPLE: &'static str = "of = \"softplus\"\nc = 0.1";
    const CITE: &'static [Cite] = &[CAI_2025];
}
