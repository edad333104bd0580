//! Losses, known only through their logarithm.
//!
//! For 𝓛 = Σ ℓ_i a loss contributes to a [`Scaled`] sum e^{shift}·Σ and to the cotangent ∂𝓛/∂out in the same scale.
//! Nothing is recombined through a rounded ln 𝓛: at margins of 10⁶ that would cost ten digits of every weight.

use std::fmt::Debug;

use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

use crate::numeric::{Scaled, exp_of, largest};

mod cross_entropy;
mod exponential;
mod logistic;

pub use cross_entropy::CrossEntropy;
pub use exponential::Exponential;
pub use logistic::Logistic;

/// Sum or mean over the examples. The gradient of ln 𝓛 is the same; times and thresholds are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Σ ℓ_i: what the theory's thresholds are for.
    #[default]
    Sum,
    /// (1/n) Σ ℓ_i: what experiments report.
    Mean,
}

impl Reduction {
    /// What has to be subtracted from ln Σ ℓ_i for `n` examples.
    pub fn ln_divisor(self, n: usize) -> f64 {
        match self {
            Reduction::Sum => 0.0,
            Reduction::Mean => (n as f64).ln(),
        }
    }
}

/// One margin constraint of an example: its index, the rival class, and the margin's value.
///
/// A binary loss has one constraint for an example, with rival 0; cross-entropy one for each wrong class j, with
/// s_ij = out_y − out_j.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraint {
    /// Index of the example.
    pub example: usize,
    /// Index of the rival output.
    pub rival: usize,
    /// The margin q_i or s_ij.
    pub value: f64,
    /// Its multiplier before normalisation: −∂ ln 𝓛/∂(this margin), as the cotangent gives it.
    pub weight: f64,
}

/// A loss over outputs and labels, known only through its logarithm.
///
/// # Properties
/// ln 𝓛 to 4 ulp of max(1, |ln 𝓛|) and ∂ ln 𝓛/∂out to 1e-13 relative, given the outputs, at any margin. Thousands of
/// examples add the roundings of their sum to ln 𝓛, about √n·2⁻⁵³.
pub trait Loss: Send + Sync + Debug {
    /// How many outputs it takes for `classes` classes.
    ///
    /// # Errors
    /// A number of classes that it has no meaning for.
    fn outputs(&self, classes: usize) -> Result<usize, crate::Invalid>;

    /// Adds the examples to `into` and writes ∂𝓛/∂out in the scale `into.shift` to `cot` (both n × outputs).
    /// Returns the factor by which whatever was accumulated before in the old scale has to be multiplied.
    fn accumulate(&self, out: &[f64], labels: &[u32], into: &mut Scaled, cot: &mut [f64]) -> f64;

    /// The margin constraints of one example, given its outputs and the cotangent ∂ ln 𝓛/∂out there.
    fn constraints(&self, example: usize, label: u32, out: &[f64], cot: &[f64], to: &mut Vec<Constraint>);

    /// The cotangent of one constraint: writes ∂(margin)/∂out of the rival for an example with this label.
    fn constraint_cotangent(&self, label: u32, rival: usize, cot: &mut [f64]);

    /// Whether the outputs classify the example correctly (a tie counts as wrong).
    fn is_correct(&self, label: u32, out: &[f64]) -> bool;

    /// ℓ⁻¹(e^{−u}): the margin at which a single example's loss is e^{−u}; u = −ln 𝓛_sum.
    fn inverse(&self, u: f64) -> f64;

    /// ln ℓ(0), the threshold on ln 𝓛_sum below which the data are separated and the theory's late phase begins.
    fn ln_threshold(&self) -> f64;

    /// Reduction over the examples.
    fn reduction(&self) -> Reduction;
}

crate::catalogue! {
    /// The loss of a spec.
    pub AnyLoss: Loss, "loss" {
        "exponential" => Exponential,
        "logistic" => Logistic,
        "cross-entropy" => CrossEntropy,
    }
}

/// +1 for the first class, −1 for the other.
#[inline(always)]
fn sign(label: u32) -> f64 {
    if label == 0 { 1.0 } else { -1.0 }
}

fn binary_outputs(name: &str, classes: usize) -> Result<usize, crate::Invalid> {
    if classes == 2 {
        return Ok(1);
    }
    let text = format!("{name} is for two classes, and the data have {classes}; use cross-entropy");
    Err(crate::Invalid::new("kind", text))
}

/// Adds binary examples; `parts(q)` gives (anchor m, ℓ e^{−m}, anchor b, −ℓ' e^{−b}) at margin q.
fn accumulate_binary(
    out: &[f64],
    labels: &[u32],
    into: &mut Scaled,
    cot: &mut [f64],
    parts: impl Fn(f64) -> Parts,
) -> f64 {
    let n = labels.len();
    let (out, cot) = (&out[..n], &mut cot[..n]);
    // The anchors wait in the place of the cotangents. A NaN is no largest anchor, but makes the sum one.
    let anchor = Arch::new().dispatch(Anchors { parts: &parts, out, labels, cot });
    let factor = into.raise(anchor);
    into.sum += Arch::new().dispatch(Weights { parts: &parts, shift: into.shift, out, labels, cot });
    factor
}

/// Writes the anchors to `cot`; the largest.
struct Anchors<'a, P> {
    parts: &'a P,
    out: &'a [f64],
    labels: &'a [u32],
    cot: &'a mut [f64],
}

// Structures rather than closures, which the compiler leaves outside the code for wide vectors once they are long.
impl<P: Fn(f64) -> Parts> WithSimd for Anchors<'_, P> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Anchors { parts, out, labels, cot } = self;
        for ((cot, out), label) in cot.iter_mut().zip(out).zip(labels) {
            *cot = parts(sign(*label) * out).anchor;
        }
        largest(cot)
    }
}

/// From anchors to cotangents in the scale e^{shift}; the sum of the losses.
struct Weights<'a, P> {
    parts: &'a P,
    shift: f64,
    out: &'a [f64],
    labels: &'a [u32],
    cot: &'a mut [f64],
}

impl<P: Fn(f64) -> Parts> WithSimd for Weights<'_, P> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Weights { parts, shift, out, labels, cot } = self;
        let mut sums = [0.0; 8];
        let ((cot, cot_rest), (out, out_rest)) = (cot.as_chunks_mut::<8>(), out.as_chunks::<8>());
        let (labels, labels_rest) = labels.as_chunks::<8>();
        for ((cot, out), labels) in cot.iter_mut().zip(out).zip(labels) {
            for k in 0..8 {
                example(parts, shift, &mut sums[k], &mut cot[k], out[k], labels[k]);
            }
        }
        for (k, ((cot, out), label)) in cot_rest.iter_mut().zip(out_rest).zip(labels_rest).enumerate() {
            example(parts, shift, &mut sums[k], cot, *out, *label);
        }
        sums.iter().sum::<f64>()
    }
}

/// Adds an example's value to `sum`, and makes its anchor its cotangent, both in the scale e^{shift}.
#[inline(always)]
fn example(parts: &impl Fn(f64) -> Parts, shift: f64, sum: &mut f64, cot: &mut f64, out: f64, label: u32) {
    let (sign, e) = (sign(label), exp_of(*cot - shift));
    let part = parts(sign * out);
    *sum += part.value * e;
    *cot = -sign * part.slope * e;
}

/// One example's loss ℓ = e^{anchor}·value and its slope −ℓ' = e^{anchor}·slope.
struct Parts {
    anchor: f64,
    value: f64,
    slope: f64,
}
