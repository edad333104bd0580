//! Margins of a two-layer network with a piecewise linear σ, with the kinks that attract.
//!
//! q_c = Σ_r A_cr σ(z_ir), z linear in θ. Where A_cr times the jump of σ′ is negative the kink is concave in z: in the model it
//! stays, as left·A·z + min(0, A·jump·z), so that a step that slides along it finds a share between 0 and 1. Where A_cr gains by
//! the kink, q_c has the slope of the side that p is on: the flow leaves such a kink with one of its two gradients.

use super::local::{Local, Play};
use crate::matrix::{gram, product, transposed};
use crate::numeric::axpy;
use crate::quadratic::shares::{Shares, Weights};
use crate::{Breakdown, Neurons, Problem};

/// Shares this near to 0 or 1 are those of kinks that have been left.
const LEFT: f64 = 0.03;
/// Kinks of constraints with less weight are forgotten.
const FORGOTTEN: f64 = 1e-8;
/// Part of what a model may be off by that makes a kink join.
const JOINS: f64 = 1e-3;

/// The inputs and their inner products, once for all steps.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    two: Neurons,
    rows: Vec<f64>,
    products: Vec<f64>,
    n: usize,
}

impl Inputs {
    pub fn of(problem: &Problem) -> Option<Inputs> {
        let two = problem.model.neurons()?;
        let n = problem.train.n();
        let rows: Vec<f64> = (0..n).flat_map(|i| two.input(problem.train.rows().row(i))).collect();
        let products = gram(&rows, n, two.cols());
        Some(Inputs { two, rows, products, n })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.two.cols()..(i + 1) * self.two.cols()]
    }
}

pub(super) struct Kinked<'a> {
    inputs: &'a Inputs,
    play: Play,
    /// Inputs of the constraints in play, one after the other, and transposed.
    rows: Vec<f64>,
    cotangents: Vec<Vec<f64>>,
    /// z at p and at the centre, and σ(z) at p: constraints × width.
    pre: Vec<f64>,
    centre: Vec<f64>,
    values: Vec<f64>,
    /// s·A at p, and the slopes s·A·σ′ with the left-hand slope at kinks in play.
    outer: Vec<f64>,
    slopes: Vec<f64>,
    /// What every constraint's b has beside its kinks and pre-activations.
    base: Vec<f64>,
    /// Kinks in play by neuron: (neuron, constraint in play), with their shares.
    kinks: Vec<(usize, usize)>,
    shares: Vec<f64>,
    matrix: Shares,
    linear: Weights,
    passes: f64,
}

/// ⟨v_r, x⟩ for all of these inputs: rows × width.
fn pre_activations(two: &Neurons, theta: &[f64], rows: &[f64]) -> Vec<f64> {
    let (cols, width) = (two.cols(), two.width);
    // Row r of the layer with its bias at the end, transposed.
    let mut layer = vec![0.0; cols * width];
    for r in 0..width {
        (0..cols).for_each(|i| layer[i * width + r] = theta[two.inner(r, i)]);
    }
    product(rows, &layer, rows.len() / cols, cols, width)
}

impl<'a> Kinked<'a> {
    /// Around `at`, for a step with this centre; `known` are the kinks of the last step as (place, neuron, share).
    pub fn new(
        problem: &Problem,
        inputs: &'a Inputs,
        at: &[f64],
        centre: &[f64],
        play: Play,
        known: &[(usize, usize, f64)],
    ) -> Kinked<'a> {
        let two = &inputs.two;
        let (s, width) = (play.list.len(), two.width);
        let rows: Vec<f64> = play.list.iter().flat_map(|c| inputs.row(c.example)).copied().collect();
        let cotangents: Vec<Vec<f64>> = play.list.iter().map(|c| problem.constraint_cotangent(c)).collect();
        let outer_at = |theta: &[f64]| {
            let mut outer = vec![0.0; s * width];
            for (row, cot) in outer.chunks_exact_mut(width).zip(&cotangents) {
                for (o, u) in cot.iter().enumerate().filter(|(_, u)| **u != 0.0) {
                    axpy(play.slope * u, &theta[two.outer(o, 0)..two.outer(o, 0) + width], row);
                }
            }
            outer
        };
        let (outer, ahead) = (outer_at(at), outer_at(centre));
        let (pre, centre) = (pre_activations(two, at, &rows), pre_activations(two, centre, &rows));
        let values: Vec<f64> = pre.iter().map(|z| two.value(*z)).collect();
        let mut base = play.offsets.clone();
        for (c, base) in base.iter_mut().enumerate() {
            for r in c * width..(c + 1) * width {
                *base += (ahead[r] - outer[r]) * values[r] - outer[r] * values[r];
            }
        }
        let mut kinked = Kinked {
            passes: 2.0 * s as f64 / inputs.n as f64 / 3.0,
            inputs,
            slopes: Vec::new(),
            kinks: Vec::new(),
            shares: Vec::new(),
            matrix: Shares::default(),
            linear: Weights::default(),
            play,
            rows,
            cotangents,
            pre,
            centre,
            values,
            outer,
            base,
        };
        let mut start: Vec<(usize, usize, f64)> = Vec::new();
        for &(place, r, share) in known {
            if let Ok(c) = kinked.play.places.binary_search(&place)
                && kinked.strength(c, r) < 0.0
            {
                start.push((r, c, share));
            }
        }
        kinked.enter(start);
        kinked
    }

    /// s·A·jump: below 0 where the kink attracts.
    fn strength(&self, c: usize, r: usize) -> f64 {
        let [left, right] = self.inputs.two.slopes;
        self.outer[c * self.inputs.two.width + r] * (right - left)
    }

    /// Sets the kinks in play, (neuron, constraint, share), and what follows from them.
    fn enter(&mut self, mut kinks: Vec<(usize, usize, f64)>) {
        let two = &self.inputs.two;
        let (s, width, n) = (self.play.list.len(), two.width, self.inputs.n);
        kinks.sort_unstable_by_key(|(r, c, _)| (*r, *c));
        self.kinks = kinks.iter().map(|(r, c, _)| (*r, *c)).collect();
        self.shares = kinks.iter().map(|k| k.2).collect();
        self.slopes = self.outer.iter().zip(&self.pre).map(|(a, z)| a * two.slope(*z)).collect();
        for &(r, c) in &self.kinks {
            self.slopes[c * width + r] = self.outer[c * width + r] * two.slopes[0];
        }
        let example = |c: usize| self.play.list[c].example;
        let products = &self.inputs.products;
        let (inner, values) = (gram(&self.slopes, s, width), gram(&self.values, s, width));
        let mut constraints = vec![0.0; s * s];
        let square = self.play.slope * self.play.slope;
        for i in 0..s {
            for j in 0..s {
                let outputs = crate::numeric::dot(&self.cotangents[i], &self.cotangents[j]);
                constraints[i * s + j] = inner[i * s + j] * products[example(i) * n + example(j)]
                    + square * outputs * values[i * s + j];
            }
        }
        let strengths: Vec<f64> = self.kinks.iter().map(|(r, c)| self.strength(*c, *r)).collect();
        let mixed = self.kinks.iter().zip(&strengths).map(|((r, c), t)| {
            let x = &products[example(*c) * n..(example(*c) + 1) * n];
            (0..s).map(|d| t * self.slopes[d * width + r] * x[example(d)]).collect()
        });
        let mixed = mixed.collect();
        let mut blocks = Vec::new();
        let mut from = 0;
        while from < self.kinks.len() {
            let r = self.kinks[from].0;
            let to = (from..self.kinks.len()).find(|k| self.kinks[*k].0 != r).unwrap_or(self.kinks.len());
            let entry = |a: usize, b: usize| {
                let (i, j) = (example(self.kinks[a].1), example(self.kinks[b].1));
                strengths[a] * strengths[b] * products[i * n + j]
            };
            blocks.push(
                (from..to).flat_map(|a| (from..to).map(move |b| (a, b))).map(|(a, b)| entry(a, b)).collect(),
            );
            from = to;
        }
        let owner = self.kinks.iter().map(|k| k.1).collect();
        self.matrix = Shares { constraints, mixed, blocks, owner };
        let of = |c: usize| {
            let span = c * width..(c + 1) * width;
            self.base[c] + crate::numeric::dot(&self.slopes[span.clone()], &self.centre[span])
        };
        self.linear = Weights {
            lambda: (0..s).map(of).collect(),
            mu: self.kinks.iter().zip(&strengths).map(|((r, c), t)| t * self.centre[c * width + r]).collect(),
        };
    }
}

impl Local for Kinked<'_> {
    fn matrix(&self) -> &Shares {
        &self.matrix
    }

    fn linear(&self) -> &Weights {
        &self.linear
    }

    fn shares(&self) -> &[f64] {
        &self.shares
    }

    fn combine(&mut self, y: &Weights) -> Result<Vec<f64>, Breakdown> {
        let two = &self.inputs.two;
        let (s, width, cols) = (self.play.list.len(), two.width, two.cols());
        self.passes += s as f64 / self.inputs.n as f64 / 3.0;
        let mut to = vec![0.0; two.dim()];
        let mut sums = self.slopes.clone();
        sums.chunks_exact_mut(width).zip(&y.lambda).for_each(|(row, l)| crate::numeric::scale(*l, row));
        for ((r, c), mu) in self.kinks.iter().zip(&y.mu) {
            sums[c * width + r] += mu * self.strength(*c, *r);
        }
        let layer = product(&transposed(&sums, s, width), &self.rows, width, s, cols);
        for r in 0..width {
            (0..cols).for_each(|i| to[two.inner(r, i)] = layer[r * cols + i]);
        }
        for ((l, cot), values) in y.lambda.iter().zip(&self.cotangents).zip(self.values.chunks_exact(width)) {
            for (o, u) in cot.iter().enumerate().filter(|(_, u)| **u != 0.0) {
                axpy(self.play.slope * l * u, values, &mut to[two.outer(o, 0)..two.outer(o, 0) + width]);
            }
        }
        Ok(to)
    }

    fn join(&mut self, x: &[f64], y: &Weights, shares: &[f64], allowed: f64) -> usize {
        let (s, width) = (self.play.list.len(), self.inputs.two.width);
        self.passes += s as f64 / self.inputs.n as f64 / 3.0;
        let ahead = pre_activations(&self.inputs.two, x, &self.rows);
        let mut crossed: Vec<(usize, usize, f64)> = Vec::new();
        let mut all = 0.0;
        for c in 0..s {
            for r in 0..width {
                let (was, is) = (self.pre[c * width + r] > 0.0, ahead[c * width + r] > 0.0);
                let strength = self.strength(c, r);
                if was == is || !(strength < 0.0) || self.kinks.binary_search(&(r, c)).is_ok() {
                    continue;
                }
                let off = y.lambda[c] * (strength * ahead[c * width + r]).abs();
                all += off;
                crossed.push((r, c, off));
            }
        }
        if all <= allowed {
            return 0;
        }
        let mut kinks: Vec<(usize, usize, f64)> =
            self.kinks.iter().zip(shares).map(|(k, share)| (k.0, k.1, *share)).collect();
        let known = kinks.len();
        let joining = crossed.iter().filter(|k| k.2 > JOINS * allowed);
        kinks.extend(joining.map(|(r, c, _)| (*r, *c, 0.5)));
        let joined = kinks.len() - known;
        self.enter(kinks);
        joined
    }

    fn between(&self, y: &Weights, shares: &[f64]) -> Vec<(usize, usize, f64)> {
        let all = self.kinks.iter().zip(shares);
        let kept = all.filter(|((_, c), s)| **s > LEFT && **s < 1.0 - LEFT && y.lambda[*c] > FORGOTTEN);
        kept.map(|((r, c), s)| (self.play.places[*c], *r, *s)).collect()
    }

    fn passes(&mut self) -> f64 {
        std::mem::take(&mut self.passes)
    }
}
