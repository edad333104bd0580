//! The shortest vector of a convex hull of many members, over a growing set of them.
//!
//! ‖d‖ is least over d = Σλ_c a_c exactly when ⟨a_c, d⟩ ≥ ‖d‖² for all c. The quadratic programme is solved over a working
//! set ([`MinNorm`]); the members that violate the condition most join it, and ‖d‖ falls with every round, so that no
//! working set comes twice. What is left out at the end carries no weight: the answer is that over all members.

use crate::quadratic::{Gram, MinNorm};

/// Members known by their inner products.
pub(super) trait Members {
    fn len(&self) -> usize;
    /// ⟨a_c, a_d⟩.
    fn inner(&self, c: usize, d: usize) -> f64;
    /// ⟨a_c, Σ_d λ_d a_d⟩ for every c, from the (d, λ_d) that are not 0.
    fn slopes(&self, weights: &[(usize, f64)]) -> Vec<f64>;
}

/// Relative distance below ‖d‖² from which a slope violates the optimum. A hundred times finer than what is promised.
const VIOLATED: f64 = 1e-11;
/// Members that join in a round: enough that rounds are few, few enough that most of them stay.
const JOINING: usize = 40;
/// Rounds: each adds a vertex of the answer, of which there are at most as many as dimensions plus one.
const ROUNDS: usize = 2000;
/// ‖d‖² over the largest ‖a_c‖² from which on the inner products no longer tell d from 0.
const VANISHED: f64 = 1e-15;

/// The weights of the shortest vector; near 0 of a vector that cannot be told from 0.
pub(super) fn shortest(members: &impl Members) -> Vec<f64> {
    let n = members.len();
    let squares: Vec<f64> = (0..n).map(|c| members.inner(c, c)).collect();
    let reach = squares.iter().copied().fold(0.0, f64::max);
    let mut working = Working::default();
    // The mean of all looks into the hull from outside; the shortest member is a vertex near 0.
    let mean: Vec<(usize, f64)> = (0..n).map(|c| (c, 1.0 / n as f64)).collect();
    let mut slopes = members.slopes(&mean);
    let first = (0..n).fold(0, |a, b| if squares[b] < squares[a] { b } else { a });
    working.join(members, &[first]);
    working.join_worst(members, &slopes, f64::INFINITY, JOINING);
    let mut solver = MinNorm::new();
    let mut warm: Vec<f64> = Vec::new();
    for _ in 0..ROUNDS {
        let answer = solver.solve(working.gram(), &[], &warm);
        let square = answer.norm_squared;
        warm = answer.lambda.to_vec();
        if square <= VANISHED * reach {
            break;
        }
        let support: Vec<(usize, f64)> =
            working.ids.iter().zip(&warm).filter(|(_, w)| **w > 0.0).map(|(c, w)| (*c, *w)).collect();
        slopes = members.slopes(&support);
        if working.join_worst(members, &slopes, square * (1.0 - VIOLATED), JOINING.max(support.len() / 2))
            == 0
        {
            break;
        }
    }
    let mut lambda = vec![0.0; n];
    working.ids.iter().zip(&warm).for_each(|(c, w)| lambda[*c] = *w);
    lambda
}

/// The working set and its Gram matrix, row after row at a stride that grows by doubling.
#[derive(Default)]
struct Working {
    ids: Vec<usize>,
    is_in: Vec<bool>,
    gram: Vec<f64>,
    stride: usize,
}

impl Working {
    fn gram(&self) -> Gram<'_> {
        Gram::new(&self.gram, self.ids.len(), self.stride)
    }

    fn join(&mut self, members: &impl Members, new: &[usize]) {
        self.is_in.resize(members.len(), false);
        let (k, grown) = (self.ids.len(), self.ids.len() + new.len());
        if grown > self.stride {
            let stride = (2 * grown).max(64);
            let mut gram = vec![0.0; stride * stride];
            for i in 0..k {
                gram[i * stride..i * stride + k]
                    .copy_from_slice(&self.gram[i * self.stride..i * self.stride + k]);
            }
            (self.gram, self.stride) = (gram, stride);
        }
        for c in new {
            let i = self.ids.len();
            self.ids.push(*c);
            self.is_in[*c] = true;
            for (j, d) in self.ids.iter().enumerate() {
                let inner = members.inner(*c, *d);
                self.gram[i * self.stride + j] = inner;
                self.gram[j * self.stride + i] = inner;
            }
        }
    }

    /// Lets the `most` members with the least slopes below a level join; returns how many there were.
    fn join_worst(&mut self, members: &impl Members, slopes: &[f64], level: f64, most: usize) -> usize {
        let mut below: Vec<usize> =
            (0..slopes.len()).filter(|c| !self.is_in[*c] && slopes[*c] < level).collect();
        let order = |a: &usize, b: &usize| slopes[*a].total_cmp(&slopes[*b]).then(a.cmp(b));
        if below.len() > most {
            below.select_nth_unstable_by(most, order);
            below.truncate(most);
        }
        below.sort_by(order);
        self.join(members, &below);
        below.len()
    }
}
