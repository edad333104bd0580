//! The Gram matrix of constraints and of the kinks that belong to them, with its structure.
//!
//! Weights are y = (λ, μ): one λ for each constraint and one μ for each kink, the part of its constraint's λ that sees the
//! right-hand slope. Kinks of different neurons are orthogonal, so that G has a block for each neuron beside the rows of the
//! constraints, and a Newton step costs their Cholesky factors and a Schur complement of the size of the constraints.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::reborrow::ReborrowMut;
use faer::{Accum, ColMut, Mat, MatRef, Par};

use super::factor::Factor;
use crate::numeric::{axpy, dot};

/// G.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// ⟨g_c, g_d⟩ of the constraints, row by row.
    pub constraints: Vec<f64>,
    /// For each kink the inner products with all constraints.
    pub mixed: Vec<Vec<f64>>,
    /// For each group of kinks, which follow each other in order, their inner products.
    pub blocks: Vec<Vec<f64>>,
    /// The constraint of each kink.
    pub owner: Vec<usize>,
}

/// y.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights {
    pub lambda: Vec<f64>,
    pub mu: Vec<f64>,
}

/// A factored G + AᵀDA.
pub(crate) struct Factored {
    blocks: Vec<Factor>,
    /// L⁻¹ of the kinks' blocks times their rows with the constraints, row by row.
    rows: Vec<f64>,
    /// The Cholesky factor of the Schur complement, in its lower triangle.
    schur: Mat<f64>,
}

impl Shares {
    /// G y.
    pub fn times(&self, y: &Weights) -> Weights {
        let s = y.lambda.len();
        let mut lambda: Vec<f64> =
            self.constraints.chunks_exact(s.max(1)).map(|row| dot(row, &y.lambda)).collect();
        let mut mu: Vec<f64> = self.mixed.iter().map(|row| dot(row, &y.lambda)).collect();
        self.mixed.iter().zip(&y.mu).for_each(|(row, m)| axpy(*m, row, &mut lambda));
        let mut from = 0;
        for block in &self.blocks {
            let n = block.len().isqrt();
            for i in 0..n {
                mu[from + i] += dot(&block[i * n..(i + 1) * n], &y.mu[from..from + n]);
            }
            from += n;
        }
        Weights { lambda, mu }
    }

    /// The squared norm of each kink.
    pub fn squares(&self) -> Vec<f64> {
        let of = |block: &Vec<f64>| {
            let n = block.len().isqrt();
            (0..n).map(|i| block[i * n + i]).collect::<Vec<f64>>()
        };
        self.blocks.iter().flat_map(of).collect()
    }

    /// G + AᵀDA, factored: D for λ ≥ 0, μ ≥ 0 and λ ≥ μ. None where a pivot is not positive.
    pub fn factor(&self, d: [&[f64]; 3]) -> Option<Factored> {
        let s = d[0].len();
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let mut rows = Vec::with_capacity(self.owner.len() * s);
        let mut from = 0;
        for block in &self.blocks {
            let n = block.len().isqrt();
            let mut block = block.clone();
            (0..n).for_each(|i| block[i * n + i] += d[1][from + i] + d[2][from + i]);
            let block = Factor::of(&block, n)?;
            for i in 0..n {
                let (earlier, _) = rows.split_at(from * s + i * s);
                let mut row = self.mixed[from + i].clone();
                row[self.owner[from + i]] -= d[2][from + i];
                for (j, earlier) in earlier[from * s..].chunks_exact(s).enumerate() {
                    axpy(-block.row(i)[j], earlier, &mut row);
                }
                crate::numeric::scale(1.0 / block.row(i)[i], &mut row);
                rows.extend(row);
            }
            blocks.push(block);
            from += n;
        }
        let mut schur = MatRef::from_row_major_slice(&self.constraints, s, s).to_owned();
        (0..s).for_each(|c| schur[(c, c)] += d[0][c]);
        self.owner.iter().zip(d[2]).for_each(|(c, d)| schur[(*c, *c)] += d);
        if from > 0 {
            let rows = MatRef::from_row_major_slice(&rows, from, s);
            matmul(schur.as_mut(), Accum::Add, rows.transpose(), rows, -1.0, Par::Seq);
        }
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(s, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        cholesky_in_place(schur.as_mut(), Default::default(), Par::Seq, stack, Default::default()).ok()?;
        Some(Factored { blocks, rows, schur })
    }
}

impl Factored {
    /// Solves for y in place.
    pub fn solve(&self, y: &mut Weights) {
        let mut from = 0;
        for block in &self.blocks {
            block.forward(&mut y.mu[from..from + block.order]);
            from += block.order;
        }
        let s = y.lambda.len();
        self.rows.chunks_exact(s.max(1)).zip(&y.mu).for_each(|(row, m)| axpy(-m, row, &mut y.lambda));
        let mut lambda = ColMut::from_slice_mut(&mut y.lambda).as_mat_mut();
        solve_lower_triangular_in_place(self.schur.as_ref(), lambda.rb_mut(), Par::Seq);
        solve_upper_triangular_in_place(self.schur.transpose(), lambda.rb_mut(), Par::Seq);
        self.rows.chunks_exact(s.max(1)).zip(&mut y.mu).for_each(|(row, m)| *m -= dot(row, &y.lambda));
        let mut from = 0;
        for block in &self.blocks {
            block.backward(&mut y.mu[from..from + block.order]);
            from += block.order;
        }
    }
}
