//! The dual programme of margins with many kinks, by an interior-point method that knows its structure.
//!
//! > min ½yᵀGy − bᵀy over y = (λ, μ), λ_c ≥ 0 and 0 ≤ μ_e ≤ λ_c(e)
//!
//! with one λ for each constraint and one μ for each kink, the weight of its right-hand slope. [`Shares`] knows the structure
//! of G.
//!
//! # References
//! Mehrotra 1992 (predictor and corrector); Wright, *Primal-Dual Interior-Point Methods* (1997), chapter 5

use crate::numeric::{axpy, dot};
use crate::quadratic::shares::{Factored, Shares, Weights};

/// Newton steps at most.
const STEPS: usize = 80;
/// Products of slacks and multipliers below this part of the objective's size end it.
const CLOSED: f64 = 1e-15;

/// The programme.
pub(super) struct Programme {
    /// G.
    pub matrix: Shares,
    /// b of the constraints, and of the kinks.
    pub right: (Vec<f64>, Vec<f64>),
}

impl Programme {
    fn sizes(&self) -> (usize, usize) {
        (self.right.0.len(), self.right.1.len())
    }

    /// The weights. None where rounding stops it early.
    pub fn solve(&self, scale: f64) -> Option<Weights> {
        let (s, k) = self.sizes();
        let each = scale / s as f64;
        let mut y = Weights { lambda: vec![each; s], mu: vec![0.5 * each; k] };
        let size = scale.max(1e-300);
        // Multipliers of the three kinds of bounds.
        let mut t = [vec![1.0; s], vec![1.0; k], vec![1.0; k]];
        let bounds = |y: &Weights| {
            let between = self.matrix.owner.iter().zip(&y.mu).map(|(c, m)| y.lambda[*c] - m).collect();
            [y.lambda.clone(), y.mu.clone(), between]
        };
        let count = (s + 2 * k) as f64;
        let mut last = f64::INFINITY;
        for _ in 0..STEPS {
            let slack = bounds(&y);
            let gap: f64 = slack.iter().zip(&t).map(|(a, b)| dot(a, b)).sum::<f64>() / count;
            let mut rest = self.matrix.times(&y);
            (0..s).for_each(|c| rest.lambda[c] -= self.right.0[c] + t[0][c]);
            for e in 0..k {
                rest.mu[e] -= self.right.1[e] + t[1][e] - t[2][e];
                rest.lambda[self.matrix.owner[e]] -= t[2][e];
            }
            let wrong = rest.lambda.iter().chain(&rest.mu).fold(0.0f64, |m, r| m.max(r.abs()));
            if gap <= CLOSED * size && wrong <= 1e-12 || !gap.is_finite() {
                break;
            }
            // What no longer falls is rounding.
            let merit = gap / size + wrong;
            if merit < 1e-10 && merit > 0.9 * last {
                break;
            }
            last = last.min(merit);
            let d: [Vec<f64>; 3] =
                [0, 1, 2].map(|i| t[i].iter().zip(&slack[i]).map(|(t, s)| t / s).collect());
            let Some(factored) = self.matrix.factor([&d[0], &d[1], &d[2]]) else { break };
            // The predictor aims at 0; what it does to the gap says how far to aim.
            let no = [vec![0.0; s], vec![0.0; k], vec![0.0; k]];
            let (_, ds, dt) = self.step(&factored, &rest, &slack, &t, &d, 0.0, &no);
            let (a, b) = (longest(&slack, &ds), longest(&t, &dt));
            let ahead: f64 = (0..3)
                .map(|i| {
                    let pairs = slack[i].iter().zip(&ds[i]).zip(t[i].iter().zip(&dt[i]));
                    pairs.map(|((s, ds), (t, dt))| (s + a * ds) * (t + b * dt)).sum::<f64>()
                })
                .sum::<f64>()
                / count;
            let aim = gap * (ahead / gap).clamp(0.0, 1.0).powi(3);
            let second: [Vec<f64>; 3] =
                [0, 1, 2].map(|i| ds[i].iter().zip(&dt[i]).map(|(a, b)| a * b).collect());
            let (dy, ds, dt) = self.step(&factored, &rest, &slack, &t, &d, aim, &second);
            let (a, b) = (longest(&slack, &ds), longest(&t, &dt));
            let (a, b) = ((0.995 * a).min(1.0), (0.995 * b).min(1.0));
            axpy(a, &dy.lambda, &mut y.lambda);
            axpy(a, &dy.mu, &mut y.mu);
            (0..3).for_each(|i| axpy(b, &dt[i], &mut t[i]));
        }
        let is_sound = y.lambda.iter().chain(&y.mu).all(|y| y.is_finite());
        (is_sound && last < 1e-4).then_some(y)
    }

    /// A Newton step towards products `aim`, less the products of second order.
    #[allow(clippy::type_complexity, clippy::too_many_arguments)]
    fn step(
        &self,
        factored: &Factored,
        rest: &Weights,
        slack: &[Vec<f64>; 3],
        t: &[Vec<f64>; 3],
        d: &[Vec<f64>; 3],
        aim: f64,
        second: &[Vec<f64>; 3],
    ) -> (Weights, [Vec<f64>; 3], [Vec<f64>; 3]) {
        let (s, k) = self.sizes();
        // (aim − second)/slack − t: what t would become without a change of the slacks.
        let pull: [Vec<f64>; 3] = [0, 1, 2]
            .map(|i| (0..t[i].len()).map(|j| (aim - second[i][j]) / slack[i][j] - t[i][j]).collect());
        let mut lambda: Vec<f64> = (0..s).map(|c| pull[0][c] - rest.lambda[c]).collect();
        let mu: Vec<f64> = (0..k).map(|e| pull[1][e] - pull[2][e] - rest.mu[e]).collect();
        self.matrix.owner.iter().zip(&pull[2]).for_each(|(c, p)| lambda[*c] += p);
        let mut y = Weights { lambda, mu };
        factored.solve(&mut y);
        let Weights { lambda, mu } = y;
        let between: Vec<f64> = self.matrix.owner.iter().zip(&mu).map(|(c, m)| lambda[*c] - m).collect();
        let ds = [lambda.clone(), mu.clone(), between];
        let dt =
            [0, 1, 2].map(|i| pull[i].iter().zip(&d[i]).zip(&ds[i]).map(|((p, d), s)| p - d * s).collect());
        (Weights { lambda, mu }, ds, dt)
    }
}

/// The longest step, at most 1.01, that keeps these positive.
fn longest(at: &[Vec<f64>; 3], along: &[Vec<f64>; 3]) -> f64 {
    let pairs = at.iter().flatten().zip(along.iter().flatten());
    pairs.filter(|(_, d)| **d < 0.0).fold(1.01, |m, (x, d)| f64::min(m, -x / d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quadratic::shares::drawn::{Drawn, drawn, numbers};
    use crate::rng::stream;
    use rand::Rng;

    #[test]
    fn the_optimality_conditions_hold() {
        for seed in 0..60 {
            let mut rng = stream(seed, "limit.interior", 0);
            let s = rng.random_range(1..4);
            let groups: Vec<usize> = (0..3).map(|_| rng.random_range(0..4)).collect();
            let Drawn { vectors: [_, edges], matrix } = drawn(seed, s, &groups);
            let right = (
                numbers(&mut rng, s).iter().map(|x| x.abs() + 0.1).collect(),
                numbers(&mut rng, edges.len()),
            );
            let programme = Programme { matrix, right };
            let Some(y) = programme.solve(1.0) else { panic!("seed {seed}") };
            let slope = programme.matrix.times(&y);
            let lambda: Vec<f64> = (0..s).map(|c| slope.lambda[c] - programme.right.0[c]).collect();
            let mu: Vec<f64> = (0..edges.len()).map(|e| slope.mu[e] - programme.right.1[e]).collect();
            let largest = y.lambda.iter().fold(1.0f64, |m, l| m.max(*l));
            // Move any constraint's weight with its kinks' shares, or a share alone: nothing falls.
            for c in 0..s {
                let own: Vec<usize> = (0..mu.len()).filter(|e| programme.matrix.owner[*e] == c).collect();
                let up = lambda[c] + own.iter().map(|e| mu[*e].min(0.0)).sum::<f64>();
                assert!(up > -1e-7 * largest, "seed {seed}: {up:e}");
                let value = lambda[c] * y.lambda[c] + own.iter().map(|e| mu[*e] * y.mu[*e]).sum::<f64>();
                assert!(value.abs() < 1e-7 * largest * largest, "seed {seed}: {value:e}");
                for e in own {
                    assert!(y.mu[e] >= 0.0 && y.mu[e] <= y.lambda[c] * (1.0 + 1e-12));
                }
            }
        }
    }
}
