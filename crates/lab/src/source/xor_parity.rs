//! 2-sparse parity: x ∈ {±1/√d}^d, y = the product of the signs of the first two coordinates.
//!
//! Four neurons (±e₁ ± e₂)/√2 with outer weights ±¼ give every point the margin 1/√(8d). On the whole cube this is
//! γ_gl: under uniform weights no unit β gives more, |E yσ(⟨β, x⟩)| ≤ min(|β₁|, |β₂|)/(2√d) ≤ 1/√(8d). On a sample it
//! is a lower bound. No linear function separates the cube, because x and −x have the same label.

use latephase_core::Invalid;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::random::stream;
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, signs, vectors};

/// The settings of `kind = "xor-parity"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct XorParity {
    /// d ≥ 2.
    pub dim: usize,
    /// So many independent uniform draws; absent: all 2^d points, in binary order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Size of the test set, of further independent draws (0).
    #[serde(default)]
    pub test: usize,
    /// Of the draws; absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Kind for XorParity {
    const ABOUT: &'static str = "2-sparse parity on the cube, or a sample of it";
    const EXAMPLE: &'static str = "dim = 4";
    const CITE: &'static [&'static str] = &[
        "C. Wei, J. Lee, Q. Liu, T. Ma, Regularization matters: generalization and optimization of neural nets \
         v.s. their induced kernel, NeurIPS 2019, arXiv 1810.05369",
        "M. Telgarsky, Feature selection and low test error in shallow low-rotation ReLU networks, ICLR 2023, \
         arXiv 2208.02789",
    ];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("dim", self.dim, 2)?;
        check_at_least("n", self.n.unwrap_or(1), 1)?;
        if self.n.is_none() && self.dim > 20 {
            let message = format!("the cube of dimension {} is too large (20 at most); give `n`", self.dim);
            return Err(Invalid::new("dim", message));
        }
        check_size("n", self.n.unwrap_or(1), self.dim)?;
        check_size("test", self.test, self.dim)
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let bound = 1.0 / (8.0 * self.dim as f64).sqrt();
        let (points, truth) = match self.n {
            None => {
                let points = (0..1u64 << self.dim).map(|bits| self.point(|j| bits >> j & 1 == 0)).collect();
                let note = "closed form on the whole cube, which no linear function separates".into();
                (points, Truth { margin_global: Some(bound), note, ..Truth::default() })
            }
            Some(n) => {
                let note = "a sample: the margin of the whole cube, 1/sqrt(8 dim), is a lower bound".into();
                (self.draws(n, seed, "train"), Truth { note, ..Truth::default() })
            }
        };
        let truth = Truth { margin_global_lower: Some(bound), ..truth };
        let test = match self.test {
            0 => None,
            m => Some(self.set(self.draws(m, seed, "test"))?),
        };
        Ok(Loaded::synthetic(self.set(points)?, test, truth))
    }
}

impl XorParity {
    fn point(&self, mut is_positive: impl FnMut(usize) -> bool) -> Vec<f64> {
        let side = 1.0 / (self.dim as f64).sqrt();
        (0..self.dim).map(|j| if is_positive(j) { side } else { -side }).collect()
    }

    fn draws(&self, n: usize, seed: u64, set: &str) -> Vec<Vec<f64>> {
        let mut rng = stream(seed, &format!("xor-parity/{set}"));
        (0..n).map(|_| self.point(|_| rng.next_u32() & 1 == 0)).collect()
    }

    fn set(&self, points: Vec<Vec<f64>>) -> Result<std::sync::Arc<latephase_core::Data>, Invalid> {
        let labels = points.iter().map(|x| u32::from(x[0] * x[1] < 0.0)).collect();
        vectors(points.concat(), labels, signs(), self.dim)
    }
}
