//! Random inputs, labelled by the sign of a random two-layer ReLU network.
//!
//! The teacher is f(x) = (1/k) Σ_j ± σ(⟨β_j, x⟩) with k = `width` neurons of alternating sign and random unit β_j,
//! dense or with `active` non-zero coordinates each. Since its outer weights have ‖α‖₁ = 1, the least y f(x) over
//! the training set is a lower bound on γ_gl. Inputs with |f(x)| ≤ `margin` are drawn again.

use std::sync::Arc;

use latephase_core::{Data, Invalid};
use serde::{Deserialize, Serialize};

use super::random::{dot, normals, shuffle, stream, unit_vector};
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, signs, vectors};

/// The settings of `kind = "teacher-student"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherStudent {
    /// Number of training examples.
    pub n: usize,
    /// Dimension of the inputs.
    pub dim: usize,
    /// Neurons of the teacher (16).
    #[serde(default = "sixteen")]
    pub width: usize,
    /// Non-zero coordinates of each neuron; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<usize>,
    /// `"gaussian"` (default): N(0, I). `"sphere"`: uniform on the unit sphere.
    #[serde(default)]
    pub inputs: Inputs,
    /// The margin that the teacher keeps on every example, of the test set too (0).
    #[serde(default)]
    pub margin: f64,
    /// Size of the test set (0).
    #[serde(default)]
    pub test: usize,
    /// Absent: the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// The law of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inputs {
    /// N(0, I).
    #[default]
    Gaussian,
    /// Uniform on the unit sphere.
    Sphere,
}

fn sixteen() -> usize {
    16
}

impl Kind for TeacherStudent {
    const ABOUT: &'static str = "random inputs labelled by a random two-layer ReLU network";
    const EXAMPLE: &'static str = "n = 20\ndim = 5";
    const CITE: &'static [&'static str] =
        &["N. Tsilivis, E. Gronich, G. Vardi, J. Kempe, Flavors of margin: \
        implicit bias of steepest descent in homogeneous neural networks, arXiv 2410.22069, \
        Figs. 1 and 4 (sparse teachers)"];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("n", self.n, 1)?;
        check_at_least("dim", self.dim, 1)?;
        // One neuron has one sign, and so would every label.
        check_at_least("width", self.width, 2)?;
        check_size("n", self.n, self.dim)?;
        check_size("test", self.test, self.dim)?;
        check_size("width", self.width, self.dim)?;
        if let Some(active) = self.active.filter(|active| !(1..=self.dim).contains(active)) {
            let message = format!("{active} is not between 1 and the dimension, {}", self.dim);
            return Err(Invalid::new("active", message));
        }
        if !(self.margin >= 0.0 && self.margin.is_finite()) {
            return Err(Invalid::new("margin", format!("{} is not zero or more", self.margin)));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let teacher = self.teacher(seed);
        let (train, least) = self.draw(&teacher, self.n, seed, "train")?;
        let test = match self.test {
            0 => None,
            m => Some(self.draw(&teacher, m, seed, "test")?.0),
        };
        let truth = Truth {
            margin_global_lower: Some(least),
            note: "the lower bound is the teacher's own margin on the training set".into(),
            ..Truth::default()
        };
        Ok(Loaded::synthetic(train, test, truth))
    }
}

impl TeacherStudent {
    /// The inner weights; the sign of neuron j is (−1)^j.
    fn teacher(&self, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = stream(seed, "teacher-student/teacher");
        let mut coordinates: Vec<usize> = (0..self.dim).collect();
        let neuron = |_| match self.active {
            None => unit_vector(&mut rng, self.dim),
            Some(active) => {
                shuffle(&mut rng, &mut coordinates);
                let mut sparse = vec![0.0; self.dim];
                let weights = unit_vector(&mut rng, active);
                coordinates.iter().zip(weights).for_each(|(&c, w)| sparse[c] = w);
                sparse
            }
        };
        (0..self.width).map(neuron).collect()
    }

    /// A set, and the teacher's least margin on it.
    fn draw(
        &self,
        teacher: &[Vec<f64>],
        n: usize,
        seed: u64,
        set: &str,
    ) -> Result<(Arc<Data>, f64), SourceError> {
        let mut rng = stream(seed, &format!("teacher-student/{set}"));
        let (mut inputs, mut labels) = (Vec::with_capacity(n * self.dim), Vec::with_capacity(n));
        let mut least = f64::INFINITY;
        let mut draws = 0usize;
        while labels.len() < n {
            // A margin that fewer than one input in 10 000 keeps is a mistake, not a filter.
            if draws >= 10_000 * (labels.len() + 1) {
                let message = format!(
                    "the teacher's output exceeds {} on {} of {draws} inputs drawn; lower the margin or change the teacher",
                    self.margin,
                    labels.len()
                );
                return Err(SourceError::setting("margin", message));
            }
            draws += 1;
            let x = match self.inputs {
                Inputs::Gaussian => normals(&mut rng, self.dim),
                Inputs::Sphere => unit_vector(&mut rng, self.dim),
            };
            let f = output(teacher, &x);
            if f.abs() > self.margin {
                least = least.min(f.abs());
                labels.push(u32::from(f < 0.0));
                inputs.extend(x);
            }
        }
        Ok((vectors(inputs, labels, signs(), self.dim)?, least))
    }
}

/// f(x) of the teacher.
fn output(teacher: &[Vec<f64>], x: &[f64]) -> f64 {
    let signed = teacher.iter().enumerate().map(|(j, beta)| {
        let activation = dot(beta, x).max(0.0);
        if j % 2 == 0 { activation } else { -activation }
    });
    signed.sum::<f64>() / teacher.len() as f64
}
