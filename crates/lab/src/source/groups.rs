//! Well separated groups: the Neural-Collapse data of Telgarsky 2022.
//!
//! Group k of r has a unit direction β_k and the label y = (−1)^k; its inputs are x = cos φ·β_k + sin φ·u with u ⊥ β_k a
//! uniformly random unit vector and sin φ uniform on [0, noise]: unit vectors with ⟨β_k, x⟩ ≥ γ_nc = √(1 − noise²). The β_k
//! are the corners of a regular simplex about 0, in a random position: ⟨β_k, β_l⟩ = −1/(r − 1), and so
//! ⟨β_l, x⟩ ≤ (−cos φ + √(r(r−2)) sin φ)/(r − 1) ≤ 0 for l ≠ k as long as noise ≤ 1/(r − 1).
//!
//! With |α_k| = 1/r that is the assumption of Telgarsky 2022 (recalled): every (x, y) has exactly one k with yα_k > 0 and
//! ⟨β_k, x⟩ ≥ γ_nc, and ⟨β_l, x⟩ ≤ 0 for the others. The network Σ α_k σ(⟨β_k, x⟩) has a margin of at least γ_nc/r, so that
//! γ_gl ≥ γ_nc/r.

use std::sync::Arc;

use latephase_core::{Data, Invalid};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::random::{frame, norm, remove, shuffle, stream, unit_vector};
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, signs, vectors};

/// The settings of `kind = "groups"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Groups {
    /// Number of groups r, at least 2; their labels alternate (4).
    pub groups: usize,
    /// Training examples of each group (10).
    pub each: usize,
    /// Dimension of the inputs, at least `groups` (10).
    pub dim: usize,
    /// Largest sine of the angle between an input and its group's direction, at most 1/(groups − 1), less than 1 (0.1).
    pub noise: f64,
    /// Test examples of each group (0).
    pub test_each: usize,
    /// Absent: the spec's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for Groups {
    fn default() -> Self {
        Groups { groups: 4, each: 10, dim: 10, noise: 0.1, test_each: 0, seed: None }
    }
}

impl Kind for Groups {
    const ABOUT: &'static str = "well separated groups around the corners of a simplex, with known margins";
    const EXAMPLE: &'static str = "groups = 4\neach = 5\ndim = 6";
    const CITE: &'static [&'static str] = &[
        "M. Telgarsky. Feature Selection with Gradient Descent on Two-layer Networks in Low-rotation Regimes. 2022.",
    ];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("groups", self.groups, 2)?;
        check_at_least("each", self.each, 1)?;
        check_at_least("dim", self.dim, self.groups)?;
        for (field, each) in [("each", self.each), ("test_each", self.test_each)] {
            check_size(field, each.saturating_mul(self.groups), self.dim)?;
        }
        // The frame costs groups²·dim.
        check_size("groups", self.groups, self.dim)?;
        let most = 1.0 / (self.groups - 1) as f64;
        if !(0.0..=most).contains(&self.noise) || self.noise >= 1.0 {
            let text = format!(
                "{} is not between 0 and 1/(groups - 1) = {most}, below 1: groups would reach into each other",
                self.noise
            );
            return Err(Invalid::new("noise", text));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let directions = simplex(&frame(&mut stream(seed, "groups/directions"), self.groups, self.dim));
        let train = self.draw(&directions, self.each, seed, "train")?;
        let test = match self.test_each {
            0 => None,
            each => Some(self.draw(&directions, each, seed, "test")?),
        };
        let margin = (1.0 - self.noise * self.noise).sqrt();
        let truth = Truth {
            margin_nc: Some(margin),
            margin_global_lower: Some(margin / self.groups as f64),
            note: format!("by construction, to rounding: {} groups around a simplex", self.groups),
            ..Truth::default()
        };
        Ok(Loaded::synthetic(train, test, truth))
    }
}

impl Groups {
    fn draw(&self, directions: &[Vec<f64>], each: usize, seed: u64, set: &str) -> Result<Arc<Data>, Invalid> {
        let mut rng = stream(seed, &format!("groups/{set}"));
        let mut order: Vec<usize> = (0..each * self.groups).map(|i| i % self.groups).collect();
        shuffle(&mut rng, &mut order);
        let mut inputs = Vec::with_capacity(order.len() * self.dim);
        for &k in &order {
            let beta = &directions[k];
            let sine = self.noise * rng.random::<f64>();
            let mut across = unit_vector(&mut rng, self.dim);
            // The second pass removes what rounding left of the first.
            remove(&mut across, beta);
            remove(&mut across, beta);
            let length = norm(&across);
            let cosine = (1.0 - sine * sine).sqrt();
            let tilt = if length > 0.0 { sine / length } else { 0.0 };
            inputs.extend(beta.iter().zip(&across).map(|(b, u)| cosine * b + tilt * u));
        }
        vectors(inputs, order.iter().map(|k| (k % 2) as u32).collect(), signs(), self.dim)
    }
}

/// The corners of a regular simplex about 0: the frame's vectors without their mean, as unit vectors.
fn simplex(frame: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let r = frame.len() as f64;
    let dim = frame.first().map_or(0, Vec::len);
    let mean: Vec<f64> = (0..dim).map(|i| frame.iter().map(|e| e[i]).sum::<f64>() / r).collect();
    let corner = |e: &Vec<f64>| {
        let centred: Vec<f64> = e.iter().zip(&mean).map(|(e, m)| e - m).collect();
        let length = norm(&centred);
        centred.iter().map(|x| x / length).collect()
    };
    frame.iter().map(corner).collect()
}
