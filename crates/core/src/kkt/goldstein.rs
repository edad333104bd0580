//! An upper bound by sampled gradients: what can be said at the kinks of any network.

use rand::Rng;
use rand::distr::Distribution;
use rand_distr::StandardNormal;

use super::Point;
use crate::Breakdown;
use crate::numeric::{axpy, dot, norm};
use crate::quadratic::{Gram, Nnls};
use crate::rng::stream;

/// Most gradients in the programme.
const GRADIENTS: usize = 1000;

impl Point<'_> {
    /// An upper bound of the distance of θ from the cone of the Goldstein subgradients conv ∪ ∂q_i(θ′), ‖θ′ − θ‖ ≤
    /// `radius`·‖θ‖: the best multipliers over gradients at θ and at `samples` random points of the ball (fewer where all
    /// together would be more than a thousand gradients). Once samples have seen every piece near θ it is at most the Clarke
    /// ε plus what gradients change over the radius; before that it may be larger.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn goldstein(&self, radius: f64, samples: usize, seed: u64) -> Result<f64, Breakdown> {
        let mut columns = self.gradients.clone();
        let (dim, each) = (self.theta.len(), self.constraints.len().max(1));
        let mut rng = stream(seed, "kkt.goldstein", 0);
        let reach = radius * norm(&self.theta);
        for _ in 0..samples.min(GRADIENTS / each) {
            let along: Vec<f64> = (0..dim).map(|_| StandardNormal.sample(&mut rng)).collect();
            // Uniform in the ball: the share of radius t is t^dim.
            let length = reach * rng.random::<f64>().powf(1.0 / dim as f64) / norm(&along);
            let mut theta = self.theta.clone();
            axpy(length, &along, &mut theta);
            for c in &self.constraints {
                columns.push(self.problem.margin_gradient(&theta, c)?);
            }
        }
        let k = columns.len();
        let mut gram = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..=i {
                gram[i * k + j] = dot(&columns[i], &columns[j]);
                gram[j * k + i] = gram[i * k + j];
            }
        }
        let b: Vec<f64> = columns.iter().map(|c| dot(c, &self.theta)).collect();
        let mut residual = self.theta.clone();
        let mut solver = Nnls::new();
        let fit = solver.solve(Gram::new(&gram, k, k), &b, &[]);
        columns.iter().zip(fit.lambda).for_each(|(c, l)| axpy(-l, c, &mut residual));
        Ok(norm(&residual))
    }
}
