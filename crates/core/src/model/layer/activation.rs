//! Element-wise activations.
//!
//! Each is homogeneous of some degree p in its input: σ(cz) = c^p σ(z) for c > 0.

use serde::{Deserialize, Serialize};

use super::{Grads, Layer};
use crate::numeric::wide;
use crate::{Degree, Invalid};

/// An element-wise function, by the name that a spec gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Nonlinearity {
    /// max(z, 0).
    #[default]
    Relu,
    /// max(z, 0) + slope·min(z, 0).
    LeakyRelu {
        /// Slope on the negative side.
        slope: f64,
    },
    /// max(z, 0)^p.
    ReluPower {
        /// The power, at least 1.
        p: f64,
    },
    /// z.
    Identity,
    /// z².
    Quadratic,
}

impl Nonlinearity {
    /// The names that a spec may use.
    pub const NAMES: &'static [&'static str] = &["relu", "leaky-relu", "relu-power", "identity", "quadratic"];

    /// Degree of homogeneity in the input.
    pub fn power(&self) -> f64 {
        match self {
            Nonlinearity::ReluPower { p } => *p,
            Nonlinearity::Quadratic => 2.0,
            _ => 1.0,
        }
    }

    /// Whether the derivative jumps at 0.
    pub fn has_kink(&self) -> bool {
        match self {
            Nonlinearity::Relu => true,
            Nonlinearity::LeakyRelu { slope } => *slope != 1.0,
            Nonlinearity::ReluPower { p } => *p == 1.0,
            Nonlinearity::Identity | Nonlinearity::Quadratic => false,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A slope or power outside its range.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Nonlinearity::LeakyRelu { slope } if !slope.is_finite() => {
                Err(Invalid::new("activation.slope", format!("{slope} is not a slope; use a finite number")))
            }
            Nonlinearity::ReluPower { p } if !(*p >= 1.0 && p.is_finite()) => Err(Invalid::new(
                "activation.p",
                format!("{p} is not a power; use p ≥ 1 (below 1 the derivative is unbounded at the kink)"),
            )),
            _ => Ok(()),
        }
    }

    fn value(&self, z: f64) -> f64 {
        match self {
            Nonlinearity::Relu => z.max(0.0),
            Nonlinearity::LeakyRelu { slope } => z.max(0.0) + slope * z.min(0.0),
            Nonlinearity::ReluPower { p } => power(z.max(0.0), *p),
            Nonlinearity::Identity => z,
            Nonlinearity::Quadratic => z * z,
        }
    }

    /// σ'(z); at a kink z = 0 the convex combination of the one-sided slopes with weight `at_kink` on the right one.
    fn slope(&self, z: f64, at_kink: f64) -> f64 {
        let ramp = |left: f64| {
            if z > 0.0 {
                1.0
            } else if z < 0.0 {
                left
            } else {
                left + at_kink * (1.0 - left)
            }
        };
        match self {
            Nonlinearity::Relu => ramp(0.0),
            Nonlinearity::LeakyRelu { slope } => ramp(*slope),
            Nonlinearity::ReluPower { p: 1.0 } => ramp(0.0),
            Nonlinearity::ReluPower { p } => p * power(z.max(0.0), p - 1.0),
            Nonlinearity::Identity => 1.0,
            Nonlinearity::Quadratic => 2.0 * z,
        }
    }
}

fn power(z: f64, p: f64) -> f64 {
    match p {
        1.0 => z,
        2.0 => z * z,
        3.0 => z * z * z,
        _ => z.powf(p),
    }
}

/// `value` where z > 0, else 0, by a mask: a branch here would mispredict every other time. A NaN passes through, so that
/// it is seen.
#[inline(always)]
fn gate(z: f64, value: f64) -> f64 {
    f64::from_bits(value.to_bits() & u64::from(!(z <= 0.0)).wrapping_neg())
}

impl<'de> Deserialize<'de> for Nonlinearity {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use crate::catalogue::{quoted, settings, split_kind};
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Slope {
            #[serde(default = "hundredth")]
            slope: f64,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Power {
            #[serde(default = "two")]
            p: f64,
        }
        fn hundredth() -> f64 {
            0.01
        }
        fn two() -> f64 {
            2.0
        }
        let value = toml::Value::deserialize(d)?;
        let (kind, table) = split_kind("activation", Self::NAMES, value).map_err(D::Error::custom)?;
        let parsed = match kind.as_str() {
            "relu" => settings::<Nothing>(table).map(|_| Nonlinearity::Relu),
            "leaky-relu" => settings::<Slope>(table).map(|s| Nonlinearity::LeakyRelu { slope: s.slope }),
            "relu-power" => settings::<Power>(table).map(|s| Nonlinearity::ReluPower { p: s.p }),
            "identity" => settings::<Nothing>(table).map(|_| Nonlinearity::Identity),
            "quadratic" => settings::<Nothing>(table).map(|_| Nonlinearity::Quadratic),
            other => {
                Err(format!("@kind@unknown activation `{other}`, expected one of {}", quoted(Self::NAMES)))
            }
        };
        parsed.map_err(D::Error::custom)
    }
}

/// An activation layer of a given width.
#[derive(Clone, Debug)]
pub struct Activation {
    function: Nonlinearity,
    width: usize,
    at_kink: f64,
}

impl Activation {
    /// `function` on `width` numbers, with `at_kink` ∈ [0, 1] the weight of the right-hand slope at a kink.
    pub fn new(function: Nonlinearity, width: usize, at_kink: f64) -> Self {
        Activation { function, width, at_kink }
    }
}

impl Layer for Activation {
    fn outputs(&self) -> usize {
        self.width
    }

    fn degree(&self, before: Degree, _name: &str, _trainable: &[bool]) -> Degree {
        before.then_power(self.function.power())
    }

    fn input_degree(&self) -> f64 {
        self.function.power()
    }

    fn forward(&self, _params: &[f64], x: &[f64], _n: usize, y: &mut [f64]) {
        match self.function {
            Nonlinearity::Relu => wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = gate(*x, *x))),
            f => y.iter_mut().zip(x).for_each(|(y, x)| *y = f.value(*x)),
        }
    }

    fn pullback(&self, _params: &[f64], x: &[f64], _y: &[f64], _n: usize, dy: &[f64], grads: Grads<'_>) {
        let Some(dx) = grads.inputs else { return };
        match self.function {
            Nonlinearity::Relu if self.at_kink == 0.0 => {
                wide(|| dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = gate(*x, *dy)));
            }
            f => {
                for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                    *dx = f.slope(*x, self.at_kink) * dy;
                }
            }
        }
    }
}
