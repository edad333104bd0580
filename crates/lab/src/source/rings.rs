//! Concentric rings in the plane, for pictures of decision boundaries.
//!
//! No linear function separates them, and no network without biases does either: such a network is homogeneous in
//! x, so that its sign is the same along every ray. `constant = 1` adds a third input that plays the part of a bias
//! and leaves the network homogeneous in its parameters.

use std::f64::consts::TAU;
use std::sync::Arc;

use latephase_core::{Data, Invalid};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::random::{normal, shuffle, stream};
use super::{Kind, Loaded, Lookup, SourceError, Truth, check_at_least, check_size, vectors};

/// The settings of `kind = "rings"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rings {
    /// Number of training examples, shared between the rings (200).
    pub n: usize,
    /// Standard deviation of the distance from the centre (0.05).
    pub noise: f64,
    /// One radius a class, innermost first: (1, 2).
    pub radii: Vec<f64>,
    /// A third coordinate with this value; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<f64>,
    /// Size of the test set (0).
    pub test: usize,
    /// Absent: the spec's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for Rings {
    fn default() -> Self {
        Rings { n: 200, noise: 0.05, radii: vec![1.0, 2.0], constant: None, test: 0, seed: None }
    }
}

impl Kind for Rings {
    const ABOUT: &'static str = "concentric rings in the plane, one a class";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        check_at_least("radii", self.radii.len(), 2)?;
        check_at_least("n", self.n, self.radii.len())?;
        check_size("n", self.n, 3)?;
        check_size("test", self.test, 3)?;
        if !(0.0..=1e100).contains(&self.noise) {
            return Err(Invalid::new("noise", format!("{} is not between 0 and 1e100", self.noise)));
        }
        if self.radii.iter().any(|r| !(0.0..=1e100).contains(r)) {
            return Err(Invalid::new("radii", format!("{:?} are not all between 0 and 1e100", self.radii)));
        }
        if self.constant.is_some_and(|c| !c.is_finite()) {
            return Err(Invalid::new("constant", "it must be finite"));
        }
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        Some(&mut self.seed)
    }

    fn load(&self, seed: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let seed = self.seed.unwrap_or(seed);
        let train = self.draw(self.n, seed, "train")?;
        let test = if self.test == 0 { None } else { Some(self.draw(self.test, seed, "test")?) };
        let note = match self.constant {
            None => "not linearly separable, nor by any network without biases: set `constant = 1`",
            Some(_) => "not linearly separable",
        };
        Ok(Loaded::synthetic(train, test, Truth { note: note.into(), ..Truth::default() }))
    }
}

impl Rings {
    fn draw(&self, n: usize, seed: u64, set: &str) -> Result<Arc<Data>, Invalid> {
        let mut rng = stream(seed, &format!("rings/{set}"));
        let mut labels: Vec<u32> = (0..n).map(|i| (i % self.radii.len()) as u32).collect();
        shuffle(&mut rng, &mut labels);
        let mut inputs = Vec::with_capacity(3 * n);
        for &label in &labels {
            let radius = self.radii[label as usize] + self.noise * normal(&mut rng);
            let angle = rng.random_range(0.0..TAU);
            inputs.extend([radius * angle.cos(), radius * angle.sin()]);
            inputs.extend(self.constant);
        }
        let classes = (0..self.radii.len()).map(|i| format!("ring {i}")).collect();
        vectors(inputs, labels, classes, if self.constant.is_some() { 3 } else { 2 })
    }
}
