//! Element-wise activations.
//!
//! Each is homogeneous of some degree p in its input: σ(cz) = c^p σ(z) for c > 0.

use serde::{Deserialize, Serialize};

use super::{Dual, Grads, Kept, Kinks, Layer, Pass, Rise, Stage, gate, rms, sizes};
use crate::Invalid;
use crate::model::calculus::{Part, Piece};
use crate::numeric::wide;

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

    /// σ(z).
    pub fn value(&self, z: f64) -> f64 {
        match self {
            Nonlinearity::Relu => z.max(0.0),
            Nonlinearity::LeakyRelu { slope } => z.max(0.0) + slope * z.min(0.0),
            Nonlinearity::ReluPower { p } => power(z.max(0.0), *p),
            Nonlinearity::Identity => z,
            Nonlinearity::Quadratic => z * z,
        }
    }

    /// σ'(z); at a kink z = 0 the convex combination of the one-sided slopes with weight `at_kink` on the right one.
    pub fn slope(&self, z: f64, at_kink: f64) -> f64 {
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

/// What the degree calculus needs to know of an element-wise function σ.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// p: σ_H(cz) = c^p σ_H(z) for the limit σ_H.
    pub power: f64,
    /// e_σ = sup |zσ'(z) − pσ(z)|.
    pub defect: f64,
    /// sup |σ − σ_H|.
    pub gap: f64,
    /// sup |σ'(z)|/|z|^{p−1}.
    pub lipschitz: f64,
    /// σ_H = lim σ(rz)/r^p, or why the layer has no degree.
    pub limit: Result<Nonlinearity, &'static str>,
}

impl Nonlinearity {
    /// The function's degree, its distance to homogeneity and its limit.
    pub fn facts(&self) -> Facts {
        let lipschitz = match self {
            Nonlinearity::LeakyRelu { slope } => slope.abs().max(1.0),
            _ => self.power(),
        };
        Facts { power: self.power(), defect: 0.0, gap: 0.0, lipschitz, limit: Ok(*self) }
    }
}

/// An activation layer.
#[derive(Clone, Debug)]
pub struct Activation {
    function: Nonlinearity,
    shape: Vec<usize>,
    at_kink: f64,
}

impl Activation {
    /// `function` on inputs of this shape, with `at_kink` ∈ [0, 1] the weight of the right-hand slope at a kink.
    pub fn new(function: Nonlinearity, shape: &[usize], at_kink: f64) -> Self {
        Activation { function, shape: shape.to_vec(), at_kink }
    }

    /// The function.
    pub fn function(&self) -> &Nonlinearity {
        &self.function
    }

    /// Whether it is max(z, 0) with the slope 0 at 0, which can be read off the outputs.
    pub(super) fn is_plain_relu(&self) -> bool {
        self.function == Nonlinearity::Relu && self.at_kink == 0.0
    }

    /// Weight of the right-hand slope at a kink.
    pub fn at_kink(&self) -> f64 {
        self.at_kink
    }
}

impl Stage for Activation {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, _params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        match self.function {
            Nonlinearity::Relu => wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y = gate(*x, *x))),
            f => y.iter_mut().zip(x).for_each(|(y, x)| *y = f.value(*x)),
        }
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        let x = pass.x;
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

impl Layer for Activation {
    fn about(&self) -> String {
        let name = toml::Value::try_from(self.function)
            .ok()
            .and_then(|value| Some(value.get("kind")?.as_str()?.to_owned()))
            .unwrap_or_default();
        format!("{name} {}", sizes(&self.shape))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// With z = h(θ; x) of order M and defect d, Dσ(z) = σ'(z)(M z + d) = pM σ(z) + M(zσ' − pσ) + σ'(z)d, and
    /// ‖σ'(z)d‖ ≤ lipschitz·‖z‖^{p−1}‖d‖.
    fn rise(&self, below: &Piece, _parts: &[Part], name: &str) -> Rise {
        let Facts { power, defect, gap, lipschitz, limit } = self.function.facts();
        let root = (self.outputs() as f64).sqrt();
        let (sigma, why) = match limit {
            // Of a piece that does not depend on θ it is one too, whatever σ is.
            _ if below.order == 0.0 => (self.function, None),
            Ok(sigma) => (sigma, None),
            Err(why) => (self.function, Some(format!("{name}: {why}"))),
        };
        let height = sigma.value(1.0).abs().max(sigma.value(-1.0).abs());
        let mut piece = Piece {
            order: power * below.order,
            size: below.size.to_power(power).scaled(height).plus(&crate::Posynomial::term(gap * root, 0.0)),
            defect: below.defect.times(&below.size.to_power(power - 1.0)).scaled(lipschitz),
            ..below.clone()
        };
        let mut dropped = Vec::new();
        if below.order > 0.0 && defect > 0.0 {
            piece.defect = piece.defect.plus(&crate::Posynomial::term(below.order * defect * root, 0.0));
            piece.why.push(format!("{} is curved", self.about()));
            dropped.push(format!("the curvature of {}", self.about()));
        }
        if let Some(why) = why {
            piece = piece.without_degree(why);
        }
        let limit = Activation { function: sigma, ..self.clone() };
        Rise { input_degree: power, dropped, ..Rise::plain(piece, Box::new(limit)) }
    }

    fn tangent(&self, _params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        let Some(along) = x.along else { return dy.fill(0.0) };
        for ((dy, x), along) in dy.iter_mut().zip(x.at).zip(along) {
            *dy = self.function.slope(*x, self.at_kink) * along;
        }
    }

    fn kinks(&self, found: &mut Kinks<'_>, _params: &[f64], x: &[f64], _n: usize) {
        if self.function.has_kink() {
            for (row, z) in x.chunks_exact(self.outputs()).enumerate() {
                found.row(row, z.iter().copied(), rms(z));
            }
        }
    }

    fn lipschitz(&self, _params: &[f64]) -> f64 {
        let facts = self.function.facts();
        if facts.power == 1.0 { facts.lipschitz } else { f64::INFINITY }
    }
}
