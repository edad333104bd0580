//! The best multipliers when every slope between the one-sided ones is allowed at a kink.
//!
//! For a two-layer network the Clarke subgradients of q_i are g_i + Σ_e s_e d_e, s_e ∈ [0, 1] one for each kinked
//! pre-activation e, because different neurons have parameters of their own. With μ_e = λ_i s_e the distance of θ from
//! Σ λ_i ∂°q_i is a convex quadratic programme in 0 ≤ μ_e ≤ λ_i. Its cone has 2^m generators for a constraint with m kinks;
//! only those that the residual asks for are ever formed: the worst one has s_e = 1 where ⟨d_e, residual⟩ > 0.

use faer::Mat;

use super::polish::least_squares;
use super::{Edge, Kinks, Point};
use crate::numeric::{axpy, dot, norm};
use crate::quadratic::{Gram, Nnls};

/// Relative slope up to which a generator is content.
const TOLERANCE: f64 = 1e-13;
/// Most rounds in which generators join.
const ROUNDS: usize = 500;
/// Times that the weights are solved for what they leave.
const REFINEMENTS: usize = 3;

/// Multipliers and what they leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Multipliers {
    /// λ ≥ 0, one for each of the point's constraints.
    pub lambda: Vec<f64>,
    /// The share of the right-hand slope at each edge, in [0, 1]; NaN where the constraint has no weight.
    pub slopes: Vec<f64>,
    /// ‖θ − Σ λ_i h_i‖.
    pub epsilon: f64,
    /// max λ_i (q_i − 1).
    pub delta: f64,
    /// θ − Σ λ_i h_i.
    pub residual: Vec<f64>,
}

impl Point<'_> {
    /// The best multipliers with the best slopes at the kinks: ε is the distance of θ from the cone of the Clarke
    /// subgradients of the constraints near it, to about 1e-13 of ‖θ‖. None where kinks are near that the point does not
    /// know as edges: of networks of more than two layers.
    pub fn clarke(&self) -> Option<Multipliers> {
        self.clarke_with(Kinks::All)
    }

    /// The same where only these kinks have a choice.
    pub(crate) fn clarke_with(&self, kinks: Kinks) -> Option<Multipliers> {
        let side = |edge: &Edge| {
            let two = self.two.as_ref().filter(|_| !kinks.has(edge.strength))?;
            let x = self.input(two, &self.constraints[edge.constraint]);
            Some(two.pre(&self.theta, edge.unit, &x) > 0.0)
        };
        self.is_complete.then(|| self.fit(&self.edges.iter().map(side).collect::<Vec<_>>()))
    }

    /// The same with the slopes of some edges fixed: `Some(true)` at the right-hand one.
    pub(super) fn fit(&self, fixed: &[Option<bool>]) -> Multipliers {
        let inputs: Vec<Vec<f64>> = match &self.two {
            Some(two) => self.constraints.iter().map(|c| self.input(two, c)).collect(),
            None => Vec::new(),
        };
        let edges_of: Vec<Vec<usize>> = (0..self.constraints.len())
            .map(|k| (0..self.edges.len()).filter(|e| self.edges[*e].constraint == k).collect())
            .collect();
        let generator = |k: usize, right: &[bool]| {
            let mut column = self.gradients[k].clone();
            if let Some(two) = &self.two {
                for (&e, _) in edges_of[k].iter().zip(right).filter(|(_, right)| **right) {
                    let edge = &self.edges[e];
                    inputs[k]
                        .iter()
                        .enumerate()
                        .for_each(|(i, x)| column[two.inner(edge.unit, i)] += edge.strength * x);
                }
            }
            column
        };
        let mut members: Vec<(usize, Vec<bool>)> = Vec::new();
        let mut columns: Vec<Vec<f64>> = Vec::new();
        let mut gram: Vec<Vec<f64>> = Vec::new();
        let mut join = |member: (usize, Vec<bool>),
                        columns: &mut Vec<Vec<f64>>,
                        members: &mut Vec<(usize, Vec<bool>)>| {
            let column = generator(member.0, &member.1);
            let row: Vec<f64> =
                columns.iter().map(|c| dot(c, &column)).chain([dot(&column, &column)]).collect();
            gram.iter_mut().zip(&row).for_each(|(old, inner)| old.push(*inner));
            gram.push(row);
            columns.push(column);
            members.push(member);
            gram.concat()
        };
        let mut flat = Vec::new();
        for (k, edges) in edges_of.iter().enumerate() {
            let start = edges.iter().map(|e| fixed[*e].unwrap_or(false)).collect();
            flat = join((k, start), &mut columns, &mut members);
        }
        let size = norm(&self.theta);
        let mut solver = Nnls::new();
        let mut weights: Vec<f64> = Vec::new();
        let mut residual = self.theta.clone();
        for _ in 0..ROUNDS {
            let count = columns.len();
            let b: Vec<f64> = columns.iter().map(|c| dot(c, &self.theta)).collect();
            weights = solver.solve(Gram::new(&flat, count, count), &b, &weights).lambda.to_vec();
            // From the vectors: from the Gram matrix the residual would lose half its digits.
            residual.copy_from_slice(&self.theta);
            columns.iter().zip(&weights).for_each(|(c, w)| axpy(-w, c, &mut residual));
            let mut is_done = true;
            for (k, edges) in edges_of.iter().enumerate().filter(|(_, edges)| !edges.is_empty()) {
                let Some(two) = &self.two else { break };
                let pull = |e: &usize| {
                    let edge = &self.edges[*e];
                    let along: f64 = inputs[k]
                        .iter()
                        .enumerate()
                        .map(|(i, x)| residual[two.inner(edge.unit, i)] * x)
                        .sum();
                    edge.strength * along
                };
                let worst: Vec<bool> =
                    edges.iter().map(|e| fixed[*e].unwrap_or_else(|| pull(e) > 0.0)).collect();
                let member = (k, worst);
                if members.contains(&member) {
                    continue;
                }
                let column = generator(k, &member.1);
                if dot(&column, &residual) > TOLERANCE * size * norm(&column) {
                    flat = join(member, &mut columns, &mut members);
                    is_done = false;
                }
            }
            if is_done {
                break;
            }
        }
        self.refine(&columns, &flat, &mut weights, &mut residual);
        let mut lambda = vec![0.0; self.constraints.len()];
        let mut slopes = vec![0.0; self.edges.len()];
        for ((k, right), w) in members.iter().zip(&weights) {
            lambda[*k] += w;
            edges_of[*k].iter().zip(right).filter(|(_, right)| **right).for_each(|(e, _)| slopes[*e] += w);
        }
        for (slope, edge) in slopes.iter_mut().zip(&self.edges) {
            let whole = lambda[edge.constraint];
            *slope = if whole > 0.0 { *slope / whole } else { f64::NAN };
        }
        let slack = self.constraints.iter().zip(&lambda).map(|(c, l)| l * (c.value - 1.0));
        Multipliers { delta: slack.fold(0.0, f64::max), epsilon: norm(&residual), lambda, slopes, residual }
    }

    /// Weights by normal equations leave the square of the condition in the residual where many kinks share few dimensions: they
    /// are solved again for what is left, on the support, as long as that is less.
    fn refine(&self, columns: &[Vec<f64>], gram: &[f64], weights: &mut [f64], residual: &mut Vec<f64>) {
        let support: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
        let count = columns.len();
        let square = Mat::from_fn(support.len(), support.len(), |i, j| gram[support[i] * count + support[j]]);
        for _ in 0..REFINEMENTS {
            let right: Vec<f64> = support.iter().map(|i| dot(&columns[*i], residual)).collect();
            let Some(step) = least_squares(&square, &right) else { return };
            let mut better = weights.to_vec();
            support.iter().zip(&step).for_each(|(i, d)| better[*i] = (better[*i] + d).max(0.0));
            let mut left = self.theta.clone();
            columns.iter().zip(&better).for_each(|(c, w)| axpy(-w, c, &mut left));
            if !(norm(&left) < norm(residual)) {
                return;
            }
            weights.copy_from_slice(&better);
            *residual = left;
        }
    }
}
