//! The metric of the programme: what curvature the two layers of a neuron have, and B⁻¹.

use super::TwoLayer;
use crate::numeric::{axpy, dot, norm, scale};

/// The leading singular pair of M_r.
pub(super) struct Pair {
    pub m: Vec<f64>,
    pub u: Vec<f64>,
    /// μ, at most 1.
    pub value: f64,
    /// Whether it is below 1: then the neuron is worth less than it costs, and dies.
    pub dies: bool,
}

impl TwoLayer<'_> {
    /// M_r of all neurons, for the weights at hand.
    pub(super) fn find_pairs(&mut self) {
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

    /// B⁻¹ v less v.
    pub(super) fn bent(&self, v: &[f64], to: &mut [f64]) {
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
