//! The constraints nearest to the least margin and their gradients, shared by the probes of a look.

use std::sync::Arc;

use super::Snapshot;
use crate::loss::Constraint;
use crate::numeric::dot;

/// Numbers that the gradients may take together; beyond it fewer constraints are kept.
pub(super) const NUMBERS: usize = 32_000_000;

/// Constraints with q ≤ q_min + `within`·|q_min|, the nearest first, with ∇q and ⟨∇q_i, ∇q_j⟩.
#[derive(Debug)]
pub(super) struct Near {
    /// The constraints.
    pub constraints: Vec<Constraint>,
    /// ∇q of each at θ.
    pub gradients: Vec<Vec<f64>>,
    /// Inner products of the gradients, k × k.
    pub gram: Vec<f64>,
}

impl Near {
    /// At most the `most` nearest; none where a foreign model fails.
    fn find(at: &Snapshot<'_>, within: f64, most: usize) -> Option<Near> {
        let q_min = at.q_min();
        let band = q_min + within * q_min.abs();
        let inside = at.constraints().iter().filter(|c| c.value <= band);
        let mut constraints: Vec<Constraint> = inside.copied().collect();
        // Ties by index, so that the list does not depend on how it was found.
        constraints.sort_by(|a, b| {
            a.value.total_cmp(&b.value).then(a.example.cmp(&b.example)).then(a.rival.cmp(&b.rival))
        });
        constraints.truncate(most.min((NUMBERS / at.theta.len().max(1)).max(1)));
        let gradients: Result<Vec<_>, _> =
            constraints.iter().map(|c| at.problem.margin_gradient(at.theta, c)).collect();
        let gradients = gradients.ok()?;
        let gram = gram(&gradients);
        Some(Near { constraints, gradients, gram })
    }
}

/// The inner products of vectors with each other, k × k.
pub(super) fn gram(vectors: &[Vec<f64>]) -> Vec<f64> {
    let k = vectors.len();
    let mut gram = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..=i {
            let inner = dot(&vectors[i], &vectors[j]);
            gram[i * k + j] = inner;
            gram[j * k + i] = inner;
        }
    }
    gram
}

/// What has been asked for at a look: probes with the same settings share an answer.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<(f64, usize, Option<Arc<Near>>)>);

impl Known {
    pub(super) fn get(&mut self, at: &Snapshot<'_>, within: f64, most: usize) -> Option<Arc<Near>> {
        if let Some((.., near)) = self.0.iter().find(|(w, m, _)| *w == within && *m == most) {
            return near.clone();
        }
        let near = Near::find(at, within, most).map(Arc::new);
        self.0.push((within, most, near.clone()));
        near
    }
}
