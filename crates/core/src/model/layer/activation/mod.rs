//! Element-wise activations σ, each with what the theory needs to know of it.
//!
//! σ is near-homogeneous of degree p in its input when |zσ'(z) − pσ(z)| ≤ e_σ for all z. Then σ_H(z) = lim σ(rz)/r^p
//! exists, is homogeneous of degree p, and stays within a bound of σ: curvature does not survive homogenization
//! (Cai et al. 2025). Where σ_H would be 0 (a saturating σ) there is none.

use std::fmt::Debug;

use crate::Invalid;

mod abs;
mod elu;
mod erf;
mod gelu;
mod gelu_tanh;
mod hardswish;
mod huber_relu;
mod identity;
mod layer;
mod leaky;
mod leaky_relu;
mod mish;
mod quadratic;
mod ramp;
mod relu;
mod relu_power;
mod sigmoid;
mod silu;
mod softplus;
mod special;
mod tanh;

pub use abs::Abs;
pub use elu::Elu;
pub use erf::Erf;
pub use gelu::Gelu;
pub use gelu_tanh::GeluTanh;
pub use hardswish::Hardswish;
pub use huber_relu::HuberRelu;
pub use identity::Identity;
pub use layer::Activation;
pub use leaky::Leaky;
pub use leaky_relu::LeakyRelu;
pub use mish::Mish;
pub use quadratic::Quadratic;
pub use ramp::Ramp;
pub use relu::Relu;
pub use relu_power::ReluPower;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use softplus::Softplus;
pub use tanh::Tanh;

/// What is known of an activation, to the last digit of f64.
#[derive(Clone, Debug)]
pub struct Facts {
    /// p: σ(cz)/c^p tends to σ_H(z) as c grows.
    pub power: f64,
    /// e_σ = sup |zσ'(z) − pσ(z)|.
    pub defect: f64,
    /// sup |σ − σ_H|; for a saturating σ, sup |σ|.
    pub gap: f64,
    /// Infimum and supremum of σ'(z)/|z|^{p−1}: for p = 1 the range of the slopes.
    pub slopes: [f64; 2],
    /// Where σ' jumps.
    pub kinks: Vec<f64>,
    /// σ_H, or why there is none.
    pub homogenized: Result<Nonlinearity, String>,
}

impl Facts {
    /// Of an exactly homogeneous function of degree 1 with these slopes right and left of 0.
    fn of_ramp(right: f64, left: f64, itself: Nonlinearity) -> Facts {
        Facts {
            power: 1.0,
            defect: 0.0,
            gap: 0.0,
            slopes: [left.min(right), left.max(right)],
            kinks: if left == right { Vec::new() } else { vec![0.0] },
            homogenized: Ok(itself),
        }
    }

    /// Of a smooth function that tends to ReLU.
    fn near_relu(defect: f64, gap: f64, slopes: [f64; 2]) -> Facts {
        Facts { power: 1.0, defect, gap, slopes, kinks: Vec::new(), homogenized: Ok(Relu {}.into()) }
    }

    /// Of a function from −1 or 0 to 1 that rises, at most with `steepest`.
    fn saturating(name: &str, steepest: f64) -> Facts {
        Facts {
            power: 1.0,
            // zσ' − σ has the supremum 1 of |σ|, at infinity, where zσ' → 0.
            defect: 1.0,
            gap: 1.0,
            slopes: [0.0, steepest],
            kinks: Vec::new(),
            homogenized: Err(format!("{name} saturates: its homogenization is zero")),
        }
    }

    /// K with |σ(z) − σ(w)| ≤ K·max(|z|, |w|)^{p−1}·|z − w| and |σ'(z)| ≤ K|z|^{p−1}: for p = 1 the Lipschitz constant.
    pub fn lipschitz(&self) -> f64 {
        self.slopes[0].abs().max(self.slopes[1].abs())
    }
}

/// A function σ of one number, applied to each entry.
///
/// # Properties
/// `slope` is the derivative of `value` wherever there is one, and both keep their relative accuracy in the tails.
pub trait Curve: Send + Sync + Debug {
    /// σ(z).
    fn value(&self, z: f64) -> f64;
    /// σ'(z); at a kink the convex combination of the one-sided slopes with weight `at_kink` on the right one.
    fn slope(&self, z: f64, at_kink: f64) -> f64;
    /// What is known of σ.
    fn facts(&self) -> Facts;
    /// Checks the settings.
    ///
    /// # Errors
    /// A slope or power outside its range, by the name of the setting.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
    /// y = σ(x), entry by entry.
    fn values(&self, x: &[f64], y: &mut [f64]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = self.value(*x));
    }
    /// dx = σ'(x)·dy, entry by entry.
    fn slopes(&self, x: &[f64], dy: &[f64], dx: &mut [f64], at_kink: f64) {
        dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| *dx = self.slope(*x, at_kink) * dy);
    }
}

crate::catalogue! {
    /// An activation by the name that a spec gives it.
    pub Nonlinearity: Curve, "activation" {
        "relu" => Relu,
        "leaky-relu" => LeakyRelu,
        "relu-power" => ReluPower,
        "identity" => Identity,
        "quadratic" => Quadratic,
        "abs" => Abs,
        "ramp" => Ramp,
        "softplus" => Softplus,
        "silu" => Silu,
        "gelu" => Gelu,
        "gelu-tanh" => GeluTanh,
        "mish" => Mish,
        "hardswish" => Hardswish,
        "elu" => Elu,
        "huber-relu" => HuberRelu,
        "leaky" => Leaky,
        "tanh" => Tanh,
        "sigmoid" => Sigmoid,
        "erf" => Erf,
    }
}

impl Default for Nonlinearity {
    fn default() -> Self {
        Relu {}.into()
    }
}

impl Nonlinearity {
    /// What is known of it.
    pub fn facts(&self) -> Facts {
        self.build().facts()
    }

    /// Degree in the input.
    pub fn power(&self) -> f64 {
        self.facts().power
    }

    /// Whether the derivative jumps anywhere.
    pub fn has_kink(&self) -> bool {
        !self.facts().kinks.is_empty()
    }

    /// Checks the settings, which a model has under `activation`.
    ///
    /// # Errors
    /// A slope or power outside its range.
    pub fn check(&self) -> Result<(), Invalid> {
        self.build().check().map_err(|e| Invalid::new(format!("activation.{}", e.field), e.message))
    }
}
