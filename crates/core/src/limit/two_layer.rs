//! Two-layer networks with a piecewise linear activation: margins with their kinks, exactly.
//!
//! q_c(θ) = Σ_r A_cr σ(z_ir) with A_cr = Σ_o u_co a_or and z_ir = ⟨v_r, x_i⟩. Around θ the product is linearised and σ is not:
//!
//! > q̂_c(x) = Σ_r A_cr σ̂(z_ir(x)) + (A_cr(x) − A_cr) σ(z_ir)
//!
//! where σ̂ is σ if A_cr times the jump of σ′ is negative, and the line through z_ir otherwise: a concave function. Its cut at
//! x has slopes p_r = A_cr σ̂′(z_ir(x)), the gradient (p_r x_i; u_co σ(z_ir)) and, since σ(z) = σ′(z)z, the right-hand side
//! 1 + q_c(θ) whatever the slopes are.
//!
//! What the linearisation leaves out is −Σ λ_c (A_cr(x) − A_cr)(σ(z_ir(x)) − σ(z_ir)): for each neuron a bilinear form in its
//! two layers with the matrix M_r = Σ λ_c s_cr x_i u_cᵀ. The metric has it, as far as it keeps B positive: B is (1 + w)I less
//! M_r on the leading singular pair (m, u) of M_r, its value μ cut at 1, which is what it is for a neuron of a KKT point. With
//! one output that is all of M_r. In the plane of (m, 0) and (0, u) B has the eigenvalues 1 + w ∓ μ along (m, ±u)/√2.

use super::interior::Programme;
use super::pieces::{Pieces, Proximal, keep};
use crate::kkt::{Multipliers, constraints};
use crate::loss::Constraint;
use crate::matrix::gram;
use crate::numeric::{axpy, distance, dot, norm, scale};
use crate::{Breakdown, Neurons, Problem};

/// Rounds in which constraints and kinks join.
const ROUNDS: usize = 40;
/// Margins below this are in the programme from the start.
const NEAR: f64 = 1.03;
/// Weights below this part of the largest, and shares this near to 0 and 1, are rounding of the interior-point method.
const WEIGHS: f64 = 1e-7;

struct Cut {
    constraint: usize,
    /// Whether σ has its right-hand slope, for each neuron.
    right: Vec<bool>,
    /// p.
    slopes: Vec<f64>,
    /// The parts of its gradient along (m, u)/√2 and (m, −u)/√2, neuron by neuron.
    plus: Vec<f64>,
    minus: Vec<f64>,
}

pub(super) struct TwoLayer<'a> {
    problem: &'a Problem,
    two: Neurons,
    /// Inputs as rows see them.
    inputs: Vec<f64>,
    products: Vec<f64>,
    list: Vec<Constraint>,
    cotangents: Vec<Vec<f64>>,
    /// z, σ(z) (examples × width) and A (constraints × width) at the centre.
    pre: Vec<f64>,
    values: Vec<f64>,
    outer: Vec<f64>,
    margins: Vec<f64>,
    theta: Vec<f64>,
    weight: f64,
    pairs: Vec<Pair>,
    /// ⟨m_r, x_i⟩.
    leading: Vec<f64>,
    /// B⁻¹ less the multiple of the identity, along (m, u)/√2 and (m, −u)/√2.
    stretch: [Vec<f64>; 2],
    /// z and A of B⁻¹θ − θ.
    tilt: [Vec<f64>; 2],
    /// What a corrected model lowers its margins by, and whether it has been corrected.
    lowered: Vec<f64>,
    is_corrected: bool,
    cuts: Vec<Cut>,
    /// What the last programme at the last centre said.
    weighed: Vec<Weighed>,
    /// Kinks that had a slope between the one-sided ones there.
    between: Vec<(usize, usize)>,
}

/// λ of a constraint, with the part of it that sees σ with its right-hand slope, for each neuron.
struct Weighed {
    constraint: usize,
    lambda: f64,
    right: Vec<f64>,
}

/// The leading singular pair of M_r.
struct Pair {
    m: Vec<f64>,
    u: Vec<f64>,
    /// μ, at most 1.
    value: f64,
    /// Whether it is below 1: then the neuron is worth less than it costs, and dies.
    dies: bool,
}

impl<'a> TwoLayer<'a> {
    pub fn new(problem: &'a Problem, two: Neurons) -> TwoLayer<'a> {
        let n = problem.train.n();
        let inputs: Vec<f64> = (0..n).flat_map(|i| two.input(problem.train.rows().row(i))).collect();
        let products = gram(&inputs, n, two.cols());
        TwoLayer {
            problem,
            two,
            inputs,
            products,
            list: Vec::new(),
            cotangents: Vec::new(),
            pre: Vec::new(),
            values: Vec::new(),
            outer: Vec::new(),
            margins: Vec::new(),
            theta: Vec::new(),
            weight: 1.0,
            pairs: Vec::new(),
            leading: Vec::new(),
            stretch: [Vec::new(), Vec::new()],
            tilt: [Vec::new(), Vec::new()],
            lowered: Vec::new(),
            is_corrected: false,
            cuts: Vec::new(),
            weighed: Vec::new(),
            between: Vec::new(),
        }
    }

    /// Whether kinks are too many for cutting planes.
    fn is_large(&self) -> bool {
        self.list.len() * self.two.width > 4000
    }

    fn input(&self, i: usize) -> &[f64] {
        &self.inputs[i * self.two.cols()..(i + 1) * self.two.cols()]
    }

    /// z of every example and neuron.
    fn pre_activations(&self, theta: &[f64]) -> Vec<f64> {
        let (two, n) = (&self.two, self.problem.train.n());
        let mut pre = vec![0.0; n * two.width];
        for r in 0..two.width {
            let weights = &theta[r * two.inputs..(r + 1) * two.inputs];
            let bias = if two.bias { theta[two.inner(r, two.inputs)] } else { 0.0 };
            for i in 0..n {
                pre[i * two.width + r] = dot(&self.input(i)[..two.inputs], weights) + bias;
            }
        }
        pre
    }

    /// A of every constraint and neuron.
    fn along_outputs(&self, theta: &[f64]) -> Vec<f64> {
        let two = &self.two;
        let mut outer = vec![0.0; self.list.len() * two.width];
        for (row, cot) in outer.chunks_exact_mut(two.width).zip(&self.cotangents) {
            for (o, u) in cot.iter().enumerate().filter(|(_, u)| **u != 0.0) {
                axpy(*u, &theta[two.outer(o, 0)..two.outer(o, 0) + two.width], row);
            }
        }
        outer
    }

    /// σ̂′ at a pre-activation: whether it is the right-hand slope.
    fn is_right(&self, outer: f64, centre: f64, z: f64) -> bool {
        let jump = self.two.slopes[1] - self.two.slopes[0];
        if outer * jump < 0.0 { z > 0.0 } else { centre > 0.0 }
    }

    fn made(&self, constraint: usize, right: Vec<bool>) -> Cut {
        let width = self.two.width;
        let outer = &self.outer[constraint * width..(constraint + 1) * width];
        let i = self.list[constraint].example;
        let slopes: Vec<f64> =
            outer.iter().zip(&right).map(|(a, right)| a * self.two.slopes[usize::from(*right)]).collect();
        let (mut plus, mut minus) = (vec![0.0; width], vec![0.0; width]);
        let (half, cot) = (0.5f64.sqrt(), &self.cotangents[constraint]);
        for r in 0..width {
            let inner = slopes[r] * self.leading[i * width + r];
            let outer = dot(&self.pairs[r].u, cot) * self.values[i * width + r];
            (plus[r], minus[r]) = (half * (inner + outer), half * (inner - outer));
        }
        Cut { constraint, right, slopes, plus, minus }
    }

    /// M_r of all neurons, for the weights at hand.
    fn find_pairs(&mut self) {
        let (cols, outputs, width) = (self.two.cols(), self.two.outputs, self.two.width);
        let mut matrices = vec![vec![0.0; cols * outputs]; width];
        let [left, jump] = [self.two.slopes[0], self.two.slopes[1] - self.two.slopes[0]];
        for at in &self.weighed {
            let x = self.input(self.list[at.constraint].example);
            for (matrix, right) in matrices.iter_mut().zip(&at.right) {
                let s = at.lambda * left + right * jump;
                for (o, u) in
                    self.cotangents[at.constraint].iter().enumerate().filter(|(_, u)| s * **u != 0.0)
                {
                    axpy(s * u, x, &mut matrix[o * cols..(o + 1) * cols]);
                }
            }
        }
        self.pairs = matrices.iter().map(|matrix| leading_pair(matrix, cols, outputs)).collect();
        let n = self.problem.train.n();
        self.leading = vec![0.0; n * width];
        for i in 0..n {
            for r in 0..width {
                self.leading[i * width + r] = dot(&self.pairs[r].m, self.input(i));
            }
        }
    }

    /// Takes the weights from those of the cuts, where there are any.
    fn weigh_cuts(&mut self, lambda: &[f64]) {
        if self.cuts.is_empty() {
            return;
        }
        self.weighed = self.of_cuts(lambda);
    }

    fn of_cuts(&self, lambda: &[f64]) -> Vec<Weighed> {
        let mut list: Vec<Weighed> = Vec::new();
        for (cut, l) in self.cuts.iter().zip(lambda).filter(|(_, l)| **l > 0.0) {
            let place = list.iter().position(|w| w.constraint == cut.constraint).unwrap_or(list.len());
            if place == list.len() {
                let right = vec![0.0; self.two.width];
                list.push(Weighed { constraint: cut.constraint, lambda: 0.0, right });
            }
            list[place].lambda += l;
            list[place]
                .right
                .iter_mut()
                .zip(&cut.right)
                .filter(|(_, right)| **right)
                .for_each(|(s, _)| *s += l);
        }
        list
    }

    /// A times the jump of σ′: below 0 where leaving the kink costs margin on either side.
    fn strength(&self, c: usize, r: usize) -> f64 {
        self.outer[c * self.two.width + r] * (self.two.slopes[1] - self.two.slopes[0])
    }

    /// Σ of the weights' gradients.
    fn sum_of(&self, weighed: &[Weighed], to: &mut [f64]) {
        let (two, width) = (&self.two, self.two.width);
        let [left, jump] = [two.slopes[0], two.slopes[1] - two.slopes[0]];
        to.fill(0.0);
        let n = self.problem.train.n();
        // Constraints of one example add up before they meet its input.
        let mut sums: Vec<Option<Vec<f64>>> = vec![None; n];
        for at in weighed {
            let (c, i) = (at.constraint, self.list[at.constraint].example);
            let outer = &self.outer[c * width..(c + 1) * width];
            let sum = sums[i].get_or_insert_with(|| vec![0.0; width]);
            for ((sum, a), right) in sum.iter_mut().zip(outer).zip(&at.right) {
                *sum += a * (at.lambda * left + right * jump);
            }
            for (o, u) in self.cotangents[c].iter().enumerate().filter(|(_, u)| **u != 0.0) {
                let from = two.outer(o, 0);
                axpy(at.lambda * u, &self.values[i * width..(i + 1) * width], &mut to[from..from + width]);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            let Some(sum) = sum else { continue };
            let x = self.input(i);
            for (r, p) in sum.iter().enumerate().filter(|(_, p)| **p != 0.0) {
                axpy(*p, &x[..two.inputs], &mut to[r * two.inputs..(r + 1) * two.inputs]);
                if two.bias {
                    to[two.inner(r, two.inputs)] += p;
                }
            }
        }
    }

    /// ⟨g_a, B⁻¹ g_b⟩ of two cuts.
    fn product(&self, a: &Cut, b: &Cut) -> f64 {
        let width = self.two.width;
        let (m, n) = (self.list[a.constraint].example, self.list[b.constraint].example);
        let inner = dot(&a.slopes, &b.slopes) * self.products[m * self.problem.train.n() + n];
        let outputs = dot(&self.cotangents[a.constraint], &self.cotangents[b.constraint]);
        let (p, q) = (&self.values[m * width..(m + 1) * width], &self.values[n * width..(n + 1) * width]);
        let mut sum = (inner + outputs * dot(p, q)) / (1.0 + self.weight);
        for r in 0..width {
            sum += self.stretch[0][r] * a.plus[r] * b.plus[r] + self.stretch[1][r] * a.minus[r] * b.minus[r];
        }
        sum
    }

    /// The linear term of the dual for a cut.
    fn right_of(&self, cut: &Cut) -> f64 {
        let width = self.two.width;
        let i = self.list[cut.constraint].example;
        let [z, a] = &self.tilt;
        let (z, sigma) = (&z[i * width..(i + 1) * width], &self.values[i * width..(i + 1) * width]);
        let a = &a[cut.constraint * width..(cut.constraint + 1) * width];
        1.0 + self.margins[cut.constraint]
            + self.lowered[cut.constraint]
            + dot(&cut.slopes, z)
            + dot(a, sigma)
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
            constraints,
            mixed,
            blocks,
            owner: kinks.iter().map(|(b, _)| *b).collect(),
            right: (
                base.iter().map(|cut| self.right_of(cut)).collect(),
                (0..kinks.len()).map(of_kink).collect(),
            ),
        }
    }

    /// The best multipliers at θ with q_min = 1, over the constraints within `within` of it and with every slope between the
    /// one-sided ones at pre-activations of at most `kink`·‖v‖‖x‖: what [`crate::kkt::Point::clarke`] computes, to about 1e-8,
    /// for networks and numbers of kinks beyond its size.
    pub fn fit(
        &mut self,
        theta: &[f64],
        within: f64,
        kink: f64,
    ) -> Result<Option<(Vec<Constraint>, Multipliers, usize)>, Breakdown> {
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
                self.pre[i * width + r].abs() <= kink * rows[*r] * size && self.strength(*c, *r) != 0.0
            };
            kinks.extend((0..width).filter(is_at).map(|r| (k, r)));
        }
        kinks.sort_unstable_by_key(|(k, r)| (*r, *k));
        let base: Vec<Cut> = play
            .iter()
            .enumerate()
            .map(|(k, &c)| {
                let i = self.list[c].example;
                let side = |r: usize| self.pre[i * width + r] > 0.0;
                let mut right: Vec<bool> = (0..width).map(side).collect();
                kinks.iter().filter(|kink| kink.0 == k).for_each(|(_, r)| right[*r] = false);
                self.made(c, right)
            })
            .collect();
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
        let mut weighed: Vec<Weighed> = base
            .iter()
            .zip(&y.lambda)
            .map(|(cut, l)| {
                let right = cut.right.iter().map(|right| if *right { *l } else { 0.0 }).collect();
                Weighed { constraint: cut.constraint, lambda: *l, right }
            })
            .collect();
        kinks.iter().zip(&y.mu).for_each(|((k, r), mu)| weighed[*k].right[*r] = *mu);
        let mut residual = vec![0.0; theta.len()];
        self.sum_of(&weighed, &mut residual);
        residual.iter_mut().zip(theta).for_each(|(r, t)| *r = t - *r);
        let largest = y.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        let carrying = kinks.iter().filter(|(k, _)| y.lambda[*k] > WEIGHS * largest).count();
        let slack = play.iter().zip(&y.lambda).map(|(c, l)| l * (self.margins[*c] - 1.0));
        let fit = Multipliers {
            delta: slack.fold(0.0, f64::max),
            epsilon: norm(&residual),
            slopes: kinks.iter().zip(&y.mu).map(|((k, _), mu)| mu / y.lambda[*k]).collect(),
            lambda: y.lambda,
            residual,
        };
        let of = |c: &usize| Constraint { value: self.margins[*c], ..self.list[*c] };
        Ok(Some((play.iter().map(of).collect(), fit, carrying)))
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
            // The left-hand slope at kinks in play, the side of θ elsewhere.
            let mut is_kink = vec![false; self.list.len() * width];
            kinks.iter().for_each(|(c, r)| is_kink[c * width + r] = true);
            let base: Vec<Cut> = play
                .iter()
                .map(|&c| {
                    let i = self.list[c].example;
                    let side = |r: usize| !is_kink[c * width + r] && self.pre[i * width + r] > 0.0;
                    self.made(c, (0..width).map(side).collect())
                })
                .collect();
            let mut place = vec![usize::MAX; self.list.len()];
            play.iter().enumerate().for_each(|(k, c)| place[*c] = k);
            let placed: Vec<(usize, usize)> = kinks.iter().map(|(c, r)| (place[*c], *r)).collect();
            let y = self.programme(&base, &placed).solve(0.5 * size * size)?;
            let largest = y.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
            weighed = base
                .iter()
                .zip(&y.lambda)
                .map(|(cut, l)| {
                    let right = cut.right.iter().map(|right| if *right { *l } else { 0.0 }).collect();
                    Weighed { constraint: cut.constraint, lambda: *l, right }
                })
                .collect::<Vec<_>>();
            placed.iter().zip(&y.mu).for_each(|((b, r), mu)| weighed[*b].right[*r] = *mu);
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
                for r in 0..width {
                    let crosses = (z[r] > 0.0) != (self.pre[i * width + r] > 0.0);
                    if crosses && !is_kink[c * width + r] && self.strength(c, r) < 0.0 {
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

    /// B⁻¹ v less v.
    fn bent(&self, v: &[f64], to: &mut [f64]) {
        let (two, half) = (&self.two, 0.5f64.sqrt());
        let part = 1.0 / (1.0 + self.weight) - 1.0;
        to.iter_mut().zip(v).for_each(|(to, v)| *to = part * v);
        for (r, pair) in self.pairs.iter().enumerate() {
            let inner: f64 = pair.m.iter().enumerate().map(|(i, m)| m * v[two.inner(r, i)]).sum();
            let outer: f64 = pair.u.iter().enumerate().map(|(o, u)| u * v[two.outer(o, r)]).sum();
            let plus = self.stretch[0][r] * half * (inner + outer);
            let minus = self.stretch[1][r] * half * (inner - outer);
            let (inner, outer) = (half * (plus + minus), half * (plus - minus));
            pair.m.iter().enumerate().for_each(|(i, m)| to[two.inner(r, i)] += inner * m);
            pair.u.iter().enumerate().for_each(|(o, u)| to[two.outer(o, r)] += outer * u);
        }
    }

    /// q̂_c at a point with these z and A; what a correction lowers it by is taken off.
    fn model(&self, c: usize, z: &[f64], a: &[f64]) -> f64 {
        let width = self.two.width;
        let i = self.list[c].example;
        let (z0, sigma) = (&self.pre[i * width..(i + 1) * width], &self.values[i * width..(i + 1) * width]);
        let a0 = &self.outer[c * width..(c + 1) * width];
        let mut value = -self.lowered[c];
        for r in 0..width {
            let right = self.is_right(a0[r], z0[r], z[r]);
            value += a0[r] * self.two.slopes[usize::from(right)] * z[r] + (a[r] - a0[r]) * sigma[r];
        }
        value
    }
}

/// The leading singular pair of a matrix given column by column, its value at most 1.
fn leading_pair(matrix: &[f64], rows: usize, cols: usize) -> Pair {
    let mut u = vec![0.0; cols];
    let longest = (0..cols).max_by(|a, b| {
        let size = |o: usize| norm(&matrix[o * rows..(o + 1) * rows]);
        size(*a).total_cmp(&size(*b))
    });
    u[longest.unwrap_or(0)] = 1.0;
    let mut m = vec![0.0; rows];
    let mut value = 0.0;
    for _ in 0..if cols == 1 { 1 } else { 30 } {
        m.fill(0.0);
        u.iter().enumerate().for_each(|(o, u)| axpy(*u, &matrix[o * rows..(o + 1) * rows], &mut m));
        value = norm(&m);
        if !(value > 0.0) {
            return Pair { m: vec![0.0; rows], u: vec![0.0; cols], value: 0.0, dies: true };
        }
        scale(1.0 / value, &mut m);
        (0..cols).for_each(|o| u[o] = dot(&matrix[o * rows..(o + 1) * rows], &m));
        let size = norm(&u);
        scale(1.0 / size, &mut u);
    }
    Pair { m, u, value: value.min(1.0), dies: value < 1.0 }
}

impl Pieces for TwoLayer<'_> {
    fn least_weight(&self) -> f64 {
        1e-5
    }

    fn weigh(&mut self, weight: f64) {
        self.weight = weight;
        let stretch =
            |sign: f64, pair: &Pair| 1.0 / (1.0 + weight + sign * pair.value) - 1.0 / (1.0 + weight);
        self.stretch = [-1.0, 1.0].map(|sign| self.pairs.iter().map(|pair| stretch(sign, pair)).collect());
        let mut bent = vec![0.0; self.theta.len()];
        self.bent(&self.theta, &mut bent);
        self.tilt = [self.pre_activations(&bent), self.along_outputs(&bent)];
        self.lowered.fill(0.0);
        self.is_corrected = false;
    }

    fn centre(&mut self, theta: &[f64], lambda: &[f64]) -> Result<(), Breakdown> {
        let width = self.two.width;
        if self.list.is_empty() {
            self.list = constraints(self.problem, theta)?;
            for c in &self.list {
                let mut cot = vec![0.0; self.two.outputs];
                self.problem.loss.constraint_cotangent(
                    self.problem.train.labels()[c.example],
                    c.rival,
                    &mut cot,
                );
                self.cotangents.push(cot);
            }
        }
        self.pre = self.pre_activations(theta);
        self.values = self.pre.iter().map(|z| self.two.value(*z)).collect();
        self.outer = self.along_outputs(theta);
        self.margins = (0..self.list.len())
            .map(|c| {
                let i = self.list[c].example;
                dot(&self.outer[c * width..(c + 1) * width], &self.values[i * width..(i + 1) * width])
            })
            .collect();
        self.theta = theta.to_vec();
        self.lowered = vec![0.0; self.list.len()];
        self.is_corrected = false;
        self.weigh_cuts(lambda);
        self.find_pairs();
        let mut cuts = std::mem::take(&mut self.cuts);
        for cut in &mut cuts {
            let c = cut.constraint;
            let i = self.list[c].example;
            let mut right = std::mem::take(&mut cut.right);
            let jump = self.two.slopes[1] - self.two.slopes[0];
            for r in 0..width {
                if !(self.outer[c * width + r] * jump < 0.0) {
                    right[r] = self.pre[i * width + r] > 0.0;
                }
            }
            *cut = self.made(c, right);
        }
        self.cuts = cuts;
        Ok(())
    }

    fn least(&self, theta: &[f64]) -> Result<f64, Breakdown> {
        let (pre, outer, width) = (self.pre_activations(theta), self.along_outputs(theta), self.two.width);
        let values: Vec<f64> = pre.iter().map(|z| self.two.value(*z)).collect();
        let margins = self.list.iter().enumerate().map(|(c, at)| {
            dot(&outer[c * width..(c + 1) * width], &values[at.example * width..(at.example + 1) * width])
        });
        Ok(margins.fold(f64::INFINITY, |m, v| if v.is_nan() || v < m { v } else { m }))
    }

    fn cut(&mut self, x: &[f64], level: f64, at_centre: bool) -> Result<(usize, f64), Breakdown> {
        let (pre, outer, width) = (self.pre_activations(x), self.along_outputs(x), self.two.width);
        let (mut joined, mut least) = (0, f64::INFINITY);
        let known = self.cuts.len();
        for c in 0..self.list.len() {
            let i = self.list[c].example;
            let (z, a) = (&pre[i * width..(i + 1) * width], &outer[c * width..(c + 1) * width]);
            let value = self.model(c, z, a);
            least = least.min(value);
            let matters = if at_centre { value < 2.0 - level } else { value < level };
            if !matters {
                continue;
            }
            let (a0, z0) = (&self.outer[c * width..], &self.pre[i * width..]);
            let right: Vec<bool> = (0..width).map(|r| self.is_right(a0[r], z0[r], z[r])).collect();
            if self.cuts[..known].iter().any(|cut| cut.constraint == c && cut.right == right) {
                continue;
            }
            let cut = self.made(c, right);
            self.cuts.push(cut);
            joined += 1;
        }
        Ok((joined, least))
    }

    fn learn(&mut self, x: &[f64]) -> Result<bool, Breakdown> {
        if self.is_corrected {
            return Ok(false);
        }
        let (pre, outer, width) = (self.pre_activations(x), self.along_outputs(x), self.two.width);
        let above = |c: usize| {
            let i = self.list[c].example;
            let (z, a) = (&pre[i * width..(i + 1) * width], &outer[c * width..(c + 1) * width]);
            let value: f64 = z.iter().zip(a).map(|(z, a)| a * self.two.value(*z)).sum();
            self.model(c, z, a) - value
        };
        self.lowered = (0..self.list.len()).map(above).collect();
        self.is_corrected = true;
        Ok(true)
    }

    fn cuts(&self) -> usize {
        self.cuts.len()
    }

    fn retain(&mut self, flags: &[bool]) {
        keep(&mut self.cuts, flags);
    }

    fn inner(&self, i: usize, j: usize) -> f64 {
        self.product(&self.cuts[i], &self.cuts[j])
    }

    fn right(&self, k: usize) -> f64 {
        self.right_of(&self.cuts[k])
    }

    fn combine(&self, lambda: &[f64], to: &mut [f64]) {
        self.sum_of(&self.of_cuts(lambda), to);
    }

    fn proximal(&mut self, size: f64) -> Option<Proximal> {
        if !self.is_large() {
            return None;
        }
        self.interior(size)
    }

    fn towards(&self, sum: &[f64], to: &mut [f64]) {
        let step: Vec<f64> = sum.iter().zip(&self.theta).map(|(s, t)| s - t).collect();
        self.bent(&step, to);
        for ((to, d), t) in to.iter_mut().zip(&step).zip(&self.theta) {
            *to += d + t;
        }
    }

    fn settle(&self, lambda: &[f64], small: f64, theta: &mut [f64]) {
        let two = &self.two;
        let mut pins: Vec<Vec<usize>> = vec![Vec::new(); two.width];
        let of_cuts = self.of_cuts(lambda);
        let weighed = if self.cuts.is_empty() { &self.weighed } else { &of_cuts };
        for at in weighed {
            let i = self.list[at.constraint].example;
            for (r, right) in at.right.iter().enumerate() {
                let is_between = *right > WEIGHS * at.lambda && *right < (1.0 - WEIGHS) * at.lambda;
                if is_between && !pins[r].contains(&i) {
                    pins[r].push(i);
                }
            }
        }
        for (r, pins) in pins.iter().enumerate() {
            if two.size(theta, r) <= small && self.pairs[r].dies {
                two.places(r).for_each(|p| theta[p] = 0.0);
                continue;
            }
            // An orthonormal basis of the inputs that the row has to be across.
            let mut basis: Vec<Vec<f64>> = Vec::new();
            for i in pins {
                let mut e = self.input(*i).to_vec();
                let whole = norm(&e);
                for _ in 0..2 {
                    basis.iter().for_each(|b| axpy(-dot(b, &e), b, &mut e));
                }
                let rest = norm(&e);
                if rest > 1e-9 * whole {
                    scale(1.0 / rest, &mut e);
                    basis.push(e);
                }
            }
            for _ in 0..2 {
                for e in &basis {
                    let along: f64 = e.iter().enumerate().map(|(i, e)| e * theta[two.inner(r, i)]).sum();
                    e.iter().enumerate().for_each(|(i, e)| theta[two.inner(r, i)] -= along * e);
                }
            }
        }
    }
}
