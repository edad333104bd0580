//! Orthogonal inputs of given lengths: every maximal margin in closed form.
//!
//! Inputs x_i = ℓ_i e_i with orthonormal e_i, labels alternating +, −. Then
//! - linear: w ∝ Σ y_i x_i/‖x_i‖² gives every example the same margin, and min ‖w‖ under y_i⟨w, x_i⟩ = 1 is this w, the
//!   only one in the span: margin 1/√(Σ 1/ℓ_i²);
//! - two-layer ReLU: with m_± = 1/√(Σ_± 1/ℓ_i²) over one class, γ_gl = 1/(1/m_+ + 1/m_−).
//!   *Attained* by one neuron a class, along Σ_± x_i/‖x_i‖², which is silent on the other class.
//!   *Not exceeded*: the weights γ m_±/ℓ_i² are positive and sum to 1. Under them any unit β gives one class at most
//!   Σ_± (γ m_±/ℓ_i²)·ℓ_i⟨β, e_i⟩₊ ≤ √(Σ_± (γ m_±/ℓ_i)²) = γ, and takes from that what it gives the other class.

use latephase_core::Invalid;
use serde::{Deserialize, Serialize};

use super::random::{frame, stream};
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, signs, vectors};

/// The settings of `kind = "orthogonal"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Orthogonal {
    /// Number of examples.
    pub n: usize,
    /// Dimension, at least `n`; absent: `n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<usize>,
    /// Length of the first input (1); the lengths between are in geometric progression.
    #[serde(default = "one")]
    pub shortest: f64,
    /// Length of the last input (1).
    #[serde(default = "one")]
    pub longest: f64,
    /// `true` (default): the frame is random. `false`: the axes.
    #[serde(default = "yes")]
    pub rotate: bool,
    /// Of the frame; absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

impl Kind for Orthogonal {
    const ABOUT: &'static str = "orthogonal inputs; linear and two-layer ReLU margins in closed form";
    const EXAMPLE: &'static str = "n = 6";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("n", self.n, 1)?;
        let dim = self.dim.unwrap_or(self.n);
        if dim < self.n {
            let message = format!("{dim} dimensions have no {} orthogonal inputs", self.n);
            return Err(Invalid::new("dim", message));
        }
        check_size("n", self.n, dim)?;
        for (field, value) in [("shortest", self.shortest), ("longest", self.longest)] {
            if !(1e-100..=1e100).contains(&value) {
                return Err(Invalid::new(field, format!("{value} is not between 1e-100 and 1e100")));
            }
        }
        if self.shortest > self.longest {
            let message = format!("{} is longer than `longest`, {}", self.shortest, self.longest);
            return Err(Invalid::new("shortest", message));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let (n, dim) = (self.n, self.dim.unwrap_or(self.n));
        let seed = self.seed.unwrap_or(seed);
        let axis = |i: usize| (0..dim).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        let frame: Vec<Vec<f64>> = if self.rotate {
            frame(&mut stream(seed, "orthogonal/frame"), n, dim)
        } else {
            (0..n).map(axis).collect()
        };
        let steps = n.saturating_sub(1).max(1) as f64;
        let length = |i: usize| self.shortest * (self.longest / self.shortest).powf(i as f64 / steps);

        let mut inputs = Vec::with_capacity(n * dim);
        let mut direction = vec![0.0; dim];
        // Σ 1/ℓ² over each class.
        let mut inverse_squares = [0.0; 2];
        for (i, e) in frame.iter().enumerate() {
            let y = if i % 2 == 0 { 1.0 } else { -1.0 };
            inputs.extend(e.iter().map(|e| length(i) * e));
            direction.iter_mut().zip(e).for_each(|(w, e)| *w += y * e / length(i));
            inverse_squares[i % 2] += length(i).powi(-2);
        }
        let w_norm = (inverse_squares[0] + inverse_squares[1]).sqrt();
        direction.iter_mut().for_each(|w| *w /= w_norm);
        let global = 1.0 / (inverse_squares[0].sqrt() + inverse_squares[1].sqrt());
        let truth = Truth {
            margin_l2: Some(1.0 / w_norm),
            direction: Some(direction),
            margin_global: Some(global),
            margin_global_lower: Some(global),
            note: "closed form; every example is a support vector".into(),
            ..Truth::default()
        };
        let labels = (0..n).map(|i| (i % 2) as u32).collect();
        Ok(Loaded::synthetic(vectors(inputs, labels, signs(), dim)?, None, truth))
    }
}
