//! Gaussian points that a hyperplane through the origin separates with a known maximal margin.
//!
//! Let u be a uniformly random unit vector and z_i = y_i x_i. Support vectors are z_i = γu + v_i, the others
//! z_i = (γ + s_i)u + v_i with s_i = |N(0, spread²)| ≥ 0; every v_i ⊥ u is Gaussian, and those of the support vectors
//! are shifted by one vector so that Σ λ_i v_i = 0 for random weights λ > 0, Σ λ_i = 1.
//!
//! **The maximal margin is γ and its direction is u.** With w = u every margin ⟨w, z_i⟩ is at least γ. For any unit w
//! the least margin is at most the λ-average ⟨w, Σ λ_i z_i⟩ = ⟨w, γu⟩ ≤ γ, with equality only for w = u.
//! λ is the dual solution; with at most `dim` support vectors it is the only one, almost surely.

use latephase_core::{Data, Invalid};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::random::{normal, normals, remove, shuffle, stream, unit_vector};
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, signs, vectors};

/// The settings of `kind = "gaussian-margin"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianMargin {
    /// Number of training examples; the classes alternate before they are shuffled.
    pub n: usize,
    /// Dimension of the inputs.
    pub dim: usize,
    /// γ > 0.
    pub margin: f64,
    /// Number of support vectors; absent: the smaller of `n` and `dim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<usize>,
    /// Standard deviation of every coordinate across u, and of the slack along it (1).
    #[serde(default = "one")]
    pub spread: f64,
    /// Size of the test set, which keeps the margin γ (0).
    #[serde(default)]
    pub test: usize,
    /// Absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn one() -> f64 {
    1.0
}

impl Kind for GaussianMargin {
    const ABOUT: &'static str = "Gaussian points, linearly separable with a known maximal margin";
    const EXAMPLE: &'static str = "n = 20\ndim = 5\nmargin = 0.5";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("n", self.n, 1)?;
        check_at_least("dim", self.dim, 1)?;
        check_size("n", self.n, self.dim)?;
        check_size("test", self.test, self.dim)?;
        for (field, value) in [("margin", self.margin), ("spread", self.spread)] {
            // Within these bounds no square of a coordinate overflows or vanishes.
            if !(1e-100..=1e100).contains(&value) {
                return Err(Invalid::new(field, format!("{value} is not between 1e-100 and 1e100")));
            }
        }
        // Across u the points carry rounding errors of about 2⁻⁵³·spread, which must stay far below the margin.
        if self.margin < 1e-6 * self.spread {
            let message =
                format!("{} is less than a millionth of `spread`: rounding would blur it", self.margin);
            return Err(Invalid::new("margin", message));
        }
        let support = self.support.unwrap_or(1);
        check_at_least("support", support, 1)?;
        if support > self.n {
            let message = format!("{support} support vectors among {} examples", self.n);
            return Err(Invalid::new("support", message));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let u = unit_vector(&mut stream(seed, "gaussian-margin/direction"), self.dim);
        let mut rng = stream(seed, "gaussian-margin/train");
        let support = self.support.unwrap_or(self.n.min(self.dim));

        let mut across: Vec<Vec<f64>> = (0..support).map(|_| self.across(&u, &mut rng)).collect();
        let weights: Vec<f64> = (0..support).map(|_| rng.random_range(0.5..1.5)).collect();
        balance(&mut across, &weights);
        let mut points: Vec<Vec<f64>> = across.iter().map(|v| self.point(&u, 0.0, v)).collect();
        for _ in support..self.n {
            points.push(self.beyond(&u, &mut rng));
        }
        let train = labelled(points, &mut rng)?;
        let test = if self.test == 0 {
            None
        } else {
            let mut rng = stream(seed, "gaussian-margin/test");
            let points = (0..self.test).map(|_| self.beyond(&u, &mut rng)).collect();
            Some(labelled(points, &mut rng)?)
        };
        let truth = Truth {
            margin_l2: Some(self.margin),
            direction: Some(u),
            note: format!("exact by construction, to rounding; {support} support vectors"),
            ..Truth::default()
        };
        Ok(Loaded::synthetic(train, test, truth))
    }
}

impl GaussianMargin {
    /// A Gaussian vector orthogonal to u.
    fn across(&self, u: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
        if self.dim == 1 {
            return vec![0.0];
        }
        let mut v = normals(rng, self.dim);
        v.iter_mut().for_each(|x| *x *= self.spread);
        // The second pass removes what rounding left of the first.
        remove(&mut v, u);
        remove(&mut v, u);
        v
    }

    fn point(&self, u: &[f64], slack: f64, across: &[f64]) -> Vec<f64> {
        u.iter().zip(across).map(|(u, v)| (self.margin + slack) * u + v).collect()
    }

    /// z of an example that need not be a support vector.
    fn beyond(&self, u: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
        let slack = self.spread * normal(rng).abs();
        let across = self.across(u, rng);
        self.point(u, slack, &across)
    }
}

/// Shifts the vectors so that their average under `weights` is 0.
fn balance(vectors: &mut [Vec<f64>], weights: &[f64]) {
    let total: f64 = weights.iter().sum();
    for column in 0..vectors.first().map_or(0, Vec::len) {
        let mean: f64 = vectors.iter().zip(weights).map(|(v, w)| w / total * v[column]).sum();
        vectors.iter_mut().for_each(|v| v[column] -= mean);
    }
}

/// x = y·z with alternating y, in random order.
fn labelled(points: Vec<Vec<f64>>, rng: &mut ChaCha8Rng) -> Result<std::sync::Arc<Data>, Invalid> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    shuffle(rng, &mut order);
    let dim = points.first().map_or(0, Vec::len);
    let mut inputs = Vec::with_capacity(points.len() * dim);
    for &i in &order {
        let y = if i % 2 == 0 { 1.0 } else { -1.0 };
        inputs.extend(points[i].iter().map(|z| y * z));
    }
    vectors(inputs, order.iter().map(|i| (i % 2) as u32).collect(), signs(), dim)
}
