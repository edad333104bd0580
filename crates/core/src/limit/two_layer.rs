//! Two-layer networks with a piecewise linear activation: margins with their kinks, exactly.
//!
//! q_c(θ) = Σ_r A_cr σ(z_ir) with A_cr = Σ_o u_co a_or and z_ir = ⟨v_r, x_i⟩. Around θ the product is linearised and σ is not:
//!
//! > q̂_c(x) = Σ_r A_cr σ̂(z_ir(x)) + (A_cr(x) − A_cr) σ(z_ir)
//!
//! where σ̂ is σ if A_cr times the jump of σ′ is negative, and the line through z_ir otherwise: a concave function. Its cut at
//! x has slopes p_r = A_cr σ̂′(z_ir(x)), the gradient (p_r x_i; u_co σ(z_ir)) and, since σ(z) = σ′(z)z, the right-hand side
//! 1 + q_c(θ) whatever the slopes are.

use super::pieces::{Pieces, keep};
use crate::kkt::constraints;
use crate::loss::Constraint;
use crate::matrix::gram;
use crate::numeric::{axpy, dot};
use crate::{Breakdown, Neurons, Problem};

struct Cut {
    constraint: usize,
    /// Whether σ has its right-hand slope, for each neuron.
    right: Vec<bool>,
    /// p.
    slopes: Vec<f64>,
    along: f64,
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
    cuts: Vec<Cut>,
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
            cuts: Vec::new(),
        }
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
        let pre = &self.pre[i * width..(i + 1) * width];
        let slopes: Vec<f64> =
            outer.iter().zip(&right).map(|(a, right)| a * self.two.slopes[usize::from(*right)]).collect();
        let along = dot(&slopes, pre) + self.margins[constraint];
        Cut { constraint, right, slopes, along }
    }
}

impl Pieces for TwoLayer<'_> {
    fn centre(&mut self, theta: &[f64]) -> Result<(), Breakdown> {
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
            let (span, of) = (i * width..(i + 1) * width, c * width..(c + 1) * width);
            let (z, z0, sigma) = (&pre[span.clone()], &self.pre[span.clone()], &self.values[span]);
            let (a, a0) = (&outer[of.clone()], &self.outer[of]);
            let mut value = 0.0;
            for r in 0..width {
                let right = self.is_right(a0[r], z0[r], z[r]);
                value += a0[r] * self.two.slopes[usize::from(right)] * z[r] + (a[r] - a0[r]) * sigma[r];
            }
            least = least.min(value);
            let matters = if at_centre { value < 2.0 - level } else { value < level };
            if !matters {
                continue;
            }
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

    fn learn(&mut self, _x: &[f64]) -> Result<bool, Breakdown> {
        Ok(false)
    }

    fn cuts(&self) -> usize {
        self.cuts.len()
    }

    fn retain(&mut self, flags: &[bool]) {
        keep(&mut self.cuts, flags);
    }

    fn inner(&self, i: usize, j: usize) -> f64 {
        let (a, b, width) = (&self.cuts[i], &self.cuts[j], self.two.width);
        let (m, n) = (self.list[a.constraint].example, self.list[b.constraint].example);
        let inner = dot(&a.slopes, &b.slopes) * self.products[m * self.problem.train.n() + n];
        let outputs = dot(&self.cotangents[a.constraint], &self.cotangents[b.constraint]);
        let (p, q) = (&self.values[m * width..(m + 1) * width], &self.values[n * width..(n + 1) * width]);
        inner + outputs * dot(p, q)
    }

    fn right(&self, k: usize) -> f64 {
        1.0 + self.margins[self.cuts[k].constraint]
    }

    fn along(&self, k: usize) -> f64 {
        self.cuts[k].along
    }

    fn combine(&self, lambda: &[f64], to: &mut [f64]) {
        let (two, width) = (&self.two, self.two.width);
        to.fill(0.0);
        let n = self.problem.train.n();
        // Cuts of one example add up before they meet its input.
        let mut sums: Vec<Option<Vec<f64>>> = vec![None; n];
        for (cut, l) in self.cuts.iter().zip(lambda).filter(|(_, l)| **l != 0.0) {
            let i = self.list[cut.constraint].example;
            axpy(*l, &cut.slopes, sums[i].get_or_insert_with(|| vec![0.0; width]));
            for (o, u) in self.cotangents[cut.constraint].iter().enumerate().filter(|(_, u)| **u != 0.0) {
                let from = two.outer(o, 0);
                axpy(l * u, &self.values[i * width..(i + 1) * width], &mut to[from..from + width]);
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
}
