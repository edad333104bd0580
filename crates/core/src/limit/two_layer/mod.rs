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

mod kinks;
mod metric;

use super::pieces::{Pieces, Proximal, keep};
use crate::kkt::constraints;
use crate::loss::Constraint;
use crate::matrix::gram;
use crate::numeric::{axpy, dot, norm, scale};
use crate::{Breakdown, Neurons, Problem};

use metric::Pair;

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

    /// σ(z), number by number.
    fn activations(&self, pre: &[f64]) -> Vec<f64> {
        pre.iter().map(|z| self.two.value(*z)).collect()
    }

    /// The network's own margins for these σ(z) and A.
    fn margins_of(&self, values: &[f64], outer: &[f64]) -> Vec<f64> {
        let width = self.two.width;
        let of = |(a, at): (&[f64], &Constraint)| dot(a, &values[at.example * width..][..width]);
        outer.chunks_exact(width).zip(&self.list).map(of).collect()
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
            self.cotangents = self.list.iter().map(|c| self.problem.constraint_cotangent(c)).collect();
        }
        self.pre = self.pre_activations(theta);
        self.values = self.activations(&self.pre);
        self.outer = self.along_outputs(theta);
        self.margins = self.margins_of(&self.values, &self.outer);
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
        let (pre, outer) = (self.pre_activations(theta), self.along_outputs(theta));
        let margins = self.margins_of(&self.activations(&pre), &outer);
        Ok(margins.into_iter().fold(f64::INFINITY, |m, v| if v.is_nan() || v < m { v } else { m }))
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
        let margins = self.margins_of(&self.activations(&pre), &outer);
        let above = |c: usize| {
            let i = self.list[c].example;
            let (z, a) = (&pre[i * width..(i + 1) * width], &outer[c * width..(c + 1) * width]);
            self.model(c, z, a) - margins[c]
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
