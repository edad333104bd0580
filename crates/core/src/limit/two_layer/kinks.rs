//! The programme with a multiplier for every kink, by the interior-point method.

use super::super::interior::Programme;
use super::super::pieces::{Pieces, Proximal};
use super::{Cut, TwoLayer, WEIGHS, Weighed};
use crate::Breakdown;
use crate::kkt::{Kinks, Multipliers, Reach};
use crate::loss::Constraint;
use crate::numeric::{distance, dot, norm};
use crate::quadratic::shares::{Shares, Weights};

/// Rounds in which constraints and kinks join.
const ROUNDS: usize = 40;
/// Margins below this are in the programme from the start.
const NEAR: f64 = 1.03;

impl TwoLayer<'_> {
    /// The cuts of these constraints with the left-hand slope at the kinks, which are given by the place of their constraint
    /// and the neuron, and the side of the centre elsewhere.
    fn at_kinks(&self, play: &[usize], kinks: &[(usize, usize)]) -> Vec<Cut> {
        let width = self.two.width;
        let mut sides: Vec<Vec<bool>> = play
            .iter()
            .map(|c| {
                let i = self.list[*c].example;
                self.pre[i * width..(i + 1) * width].iter().map(|z| *z > 0.0).collect()
            })
            .collect();
        kinks.iter().for_each(|(k, r)| sides[*k][*r] = false);
        play.iter().zip(sides).map(|(c, right)| self.made(*c, right)).collect()
    }

    /// The programme over these constraints, given by a cut each, and these kinks, sorted by neuron.
    fn programme(&self, base: &[Cut], kinks: &[(usize, usize)]) -> Programme {
        let (width, n, whole) = (self.two.width, self.problem.train.n(), 1.0 + self.weight);
        let s = base.len();
        let mut constraints = vec![0.0; s * s];
        for i in 0..s {
            for j in 0..=i {
                let inner = self.product(&base[i], &base[j]);
                constraints[i * s + j] = inner;
                constraints[j * s + i] = inner;
            }
        }
        let half = 0.5f64.sqrt();
        let of = |k: usize| {
            let (b, r) = kinks[k];
            let c = base[b].constraint;
            let i = self.list[c].example;
            (b, r, i, self.strength(c, r), self.leading[i * width + r])
        };
        let mixed = (0..kinks.len())
            .map(|k| {
                let (_, r, i, strength, along) = of(k);
                let with = |cut: &Cut| {
                    let inner =
                        cut.slopes[r] * self.products[self.list[cut.constraint].example * n + i] / whole;
                    let bent = self.stretch[0][r] * cut.plus[r] + self.stretch[1][r] * cut.minus[r];
                    strength * (inner + half * along * bent)
                };
                base.iter().map(with).collect()
            })
            .collect();
        let mut blocks = Vec::new();
        let mut from = 0;
        while from < kinks.len() {
            let r = kinks[from].1;
            let to = (from..kinks.len()).find(|k| kinks[*k].1 != r).unwrap_or(kinks.len());
            let bend = 0.5 * (self.stretch[0][r] + self.stretch[1][r]);
            let mut block = Vec::with_capacity((to - from) * (to - from));
            for a in from..to {
                for b in from..to {
                    let ((_, _, i, s, along), (_, _, j, t, across)) = (of(a), of(b));
                    block.push(s * t * (self.products[i * n + j] / whole + bend * along * across));
                }
            }
            blocks.push(block);
            from = to;
        }
        let of_kink = |k: usize| {
            let (_, r, i, strength, _) = of(k);
            strength * self.tilt[0][i * width + r]
        };
        Programme {
            matrix: Shares { constraints, mixed, blocks, owner: kinks.iter().map(|(b, _)| *b).collect() },
            right: (
                base.iter().map(|cut| self.right_of(cut)).collect(),
                (0..kinks.len()).map(of_kink).collect(),
            ),
        }
    }

    /// The best multipliers at θ with q_min = 1, over the constraints within reach of it and with every slope between the
    /// one-sided ones at these of the kinks within reach: what [`crate::kkt::Point::clarke`] computes, to about 1e-8, for networks
    /// and numbers of kinks beyond its size. With the constraints, and the place of its constraint among them for each kink.
    #[allow(clippy::type_complexity)]
    pub fn fit(
        &mut self,
        theta: &[f64],
        Reach { within, kink, .. }: Reach,
        which: Kinks,
    ) -> Result<Option<(Vec<Constraint>, Multipliers, Vec<usize>)>, Breakdown> {
        self.weighed.clear();
        self.cuts.clear();
        self.centre(theta, &[])?;
        self.weigh(0.0);
        let width = self.two.width;
        let mut play: Vec<usize> =
            (0..self.list.len()).filter(|c| self.margins[*c] <= 1.0 + within).collect();
        play.sort_by(|a, b| self.margins[*a].total_cmp(&self.margins[*b]).then(a.cmp(b)));
        let rows: Vec<f64> = (0..width).map(|r| self.two.row_norm(theta, r)).collect();
        let mut kinks: Vec<(usize, usize)> = Vec::new();
        for (k, c) in play.iter().enumerate() {
            let i = self.list[*c].example;
            let size = norm(self.input(i));
            let is_at = |r: &usize| {
                self.pre[i * width + r].abs() <= kink * rows[*r] * size && which.has(self.strength(*c, *r))
            };
            kinks.extend((0..width).filter(is_at).map(|r| (k, r)));
        }
        kinks.sort_unstable_by_key(|(k, r)| (*r, *k));
        let base = self.at_kinks(&play, &kinks);
        let mut programme = self.programme(&base, &kinks);
        // ⟨g, θ⟩ of all of them.
        for (right, cut) in programme.right.0.iter_mut().zip(&base) {
            let i = self.list[cut.constraint].example;
            *right = dot(&cut.slopes, &self.pre[i * width..(i + 1) * width]) + self.margins[cut.constraint];
        }
        for (right, (k, r)) in programme.right.1.iter_mut().zip(&kinks) {
            let c = play[*k];
            *right = self.strength(c, *r) * self.pre[self.list[c].example * width + r];
        }
        let Some(y) = programme.solve(0.5 * dot(theta, theta)) else { return Ok(None) };
        let weighed = shared(&base, &kinks, &y);
        let mut residual = vec![0.0; theta.len()];
        self.sum_of(&weighed, &mut residual);
        residual.iter_mut().zip(theta).for_each(|(r, t)| *r = t - *r);
        let slack = play.iter().zip(&y.lambda).map(|(c, l)| l * (self.margins[*c] - 1.0));
        let fit = Multipliers {
            delta: slack.fold(0.0, f64::max),
            epsilon: norm(&residual),
            slopes: kinks.iter().zip(&y.mu).map(|((k, _), mu)| mu / y.lambda[*k]).collect(),
            lambda: y.lambda,
            residual,
        };
        let of = |c: &usize| Constraint { value: self.margins[*c], ..self.list[*c] };
        Ok(Some((play.iter().map(of).collect(), fit, kinks.iter().map(|(k, _)| *k).collect())))
    }

    /// The proximal point by the interior-point method: constraints and kinks join until the model holds at the answer.
    pub fn interior(&mut self, size: f64) -> Option<Proximal> {
        let width = self.two.width;
        let mut play: Vec<usize> = self.weighed.iter().map(|at| at.constraint).collect();
        play.extend((0..self.list.len()).filter(|c| self.margins[*c] < NEAR));
        play.sort_unstable();
        play.dedup();
        let mut kinks: Vec<(usize, usize)> =
            self.between.iter().copied().filter(|(c, r)| self.strength(*c, *r) < 0.0).collect();
        let (mut x, mut sum) = (self.theta.clone(), self.theta.clone());
        let mut weighed = Vec::new();
        let mut carrying = 0;
        for _ in 0..ROUNDS {
            kinks.sort_unstable_by_key(|(c, r)| (*r, *c));
            let mut place = vec![usize::MAX; self.list.len()];
            play.iter().enumerate().for_each(|(k, c)| place[*c] = k);
            let placed: Vec<(usize, usize)> = kinks.iter().map(|(c, r)| (place[*c], *r)).collect();
            let base = self.at_kinks(&play, &placed);
            let y = self.programme(&base, &placed).solve(0.5 * size * size)?;
            let largest = y.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
            weighed = shared(&base, &placed, &y);
            self.sum_of(&weighed, &mut sum);
            self.towards(&sum, &mut x);
            let is_between = |((b, _), mu): (&(usize, usize), &f64)| {
                let l = y.lambda[*b];
                l > WEIGHS * largest && *mu > WEIGHS * l && *mu < (1.0 - WEIGHS) * l
            };
            self.between =
                (0..kinks.len()).filter(|k| is_between((&placed[*k], &y.mu[*k]))).map(|k| kinks[k]).collect();
            carrying = y.lambda.iter().filter(|l| **l > WEIGHS * largest).count() + self.between.len();
            weighed.retain(|at| at.lambda > WEIGHS * largest);
            let moved = distance(&x, &self.theta) / size;
            let allowed = (1e-3 * self.weight.min(1.0) * moved * moved).clamp(1e-13, 1e-3);
            let (pre, outer) = (self.pre_activations(&x), self.along_outputs(&x));
            let mut joined = false;
            for c in 0..self.list.len() {
                let i = self.list[c].example;
                let (z, a) = (&pre[i * width..(i + 1) * width], &outer[c * width..(c + 1) * width]);
                if self.model(c, z, a) >= 1.0 - allowed {
                    continue;
                }
                if place[c] == usize::MAX {
                    play.push(c);
                    joined = true;
                    continue;
                }
                let known: Vec<usize> = kinks.iter().filter(|kink| kink.0 == c).map(|kink| kink.1).collect();
                for r in 0..width {
                    let crosses = (z[r] > 0.0) != (self.pre[i * width + r] > 0.0);
                    if crosses && !known.contains(&r) && self.strength(c, r) < 0.0 {
                        kinks.push((c, r));
                        joined = true;
                    }
                }
            }
            if !joined {
                break;
            }
        }
        self.weighed = weighed;
        self.cuts.clear();
        Some(Proximal { x, sum, pieces: carrying })
    }
}

/// The weights of the constraints, each with the shares of its kinks.
fn shared(base: &[Cut], kinks: &[(usize, usize)], y: &Weights) -> Vec<Weighed> {
    let mut weighed: Vec<Weighed> = base
        .iter()
        .zip(&y.lambda)
        .map(|(cut, l)| {
            let right = cut.right.iter().map(|right| if *right { *l } else { 0.0 }).collect();
            Weighed { constraint: cut.constraint, lambda: *l, right }
        })
        .collect();
    kinks.iter().zip(&y.mu).for_each(|((k, r), mu)| weighed[*k].right[*r] = *mu);
    weighed
}
