//! The Gram matrix of constraints and of the kinks that belong to them, with its structure.
//!
//! Weights are y = (λ, μ): one λ for each constraint and one μ for each kink, the part of its constraint's λ that sees the
//! right-hand slope. Kinks of different neurons are orthogonal, so that G has a block for each neuron beside the rows of the
//! constraints, and a Newton step costs their Cholesky factors and a Schur complement of the size of the constraints.

use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::reborrow::ReborrowMut;
use faer::{Accum, ColMut, Mat, MatRef, Par};

use super::factor::Factor;
use crate::numeric::{axpy, dot};
use crate::product::{cholesky, gram_in_blocks};

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

    /// That of some constraints and of some of their kinks, both in ascending order.
    pub fn part(&self, constraints: &[usize], kinks: &[usize]) -> Shares {
        let s = self.constraints.len().isqrt();
        let of = |row: &[f64], kept: &[usize]| kept.iter().map(|k| row[*k]).collect::<Vec<f64>>();
        let mut part = Shares::default();
        part.constraints.reserve(constraints.len() * constraints.len());
        for c in constraints {
            part.constraints.extend(constraints.iter().map(|d| self.constraints[c * s + d]));
        }
        part.mixed = kinks.iter().map(|e| of(&self.mixed[*e], constraints)).collect();
        let place = |e: &usize| constraints.binary_search(&self.owner[*e]);
        part.owner = kinks.iter().map(|e| place(e).expect("a kink has its constraint beside it")).collect();
        let (mut from, mut at) = (0, 0);
        for block in &self.blocks {
            let n = block.len().isqrt();
            let own: Vec<usize> =
                kinks[at..].iter().take_while(|e| **e < from + n).map(|e| e - from).collect();
            part.blocks.push(own.iter().flat_map(|i| of(&block[i * n..(i + 1) * n], &own)).collect());
            from += n;
            at += own.len();
        }
        part
    }

    /// The squared norm of each kink.
    pub fn squares(&self) -> Vec<f64> {
        let of = |block: &Vec<f64>| {
            let n = block.len().isqrt();
            (0..n).map(|i| block[i * n + i]).collect::<Vec<f64>>()
        };
        self.blocks.iter().flat_map(of).collect()
    }

    /// Counts these kinks from their other side: λ_c g_c + μ_e k_e = λ_c (g_c + k_e) + (λ_c − μ_e)(−k_e), and `linear` in the same
    /// way.
    pub fn flip(&mut self, kinks: &[usize], linear: &mut Weights) {
        let s = linear.lambda.len();
        let (mut from, mut next) = (0, kinks.iter().copied().peekable());
        for block in &mut self.blocks {
            let n = block.len().isqrt();
            while let Some(e) = next.next_if(|e| *e < from + n) {
                let (i, c) = (e - from, self.owner[e]);
                let row = &self.mixed[e];
                self.constraints[c * s + c] += row[c] + block[i * n + i];
                axpy(1.0, row, &mut self.constraints[c * s..(c + 1) * s]);
                for d in 0..s {
                    self.constraints[d * s + c] = self.constraints[c * s + d];
                }
                for j in 0..n {
                    self.mixed[from + j][c] += block[j * n + i];
                }
                crate::numeric::scale(-1.0, &mut self.mixed[e]);
                for j in (0..n).filter(|j| *j != i) {
                    block[i * n + j] *= -1.0;
                    block[j * n + i] *= -1.0;
                }
                linear.lambda[c] += linear.mu[e];
                linear.mu[e] *= -1.0;
            }
            from += n;
        }
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
            gram_in_blocks(schur.as_mut(), Accum::Add, rows.transpose(), -1.0);
        }
        cholesky(schur.as_mut())?;
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

/// Problems for tests.
#[cfg(test)]
pub(crate) mod drawn {
    use super::*;
    use crate::rng::stream;
    use rand::Rng;

    /// Coordinates.
    pub const DIM: usize = 12;

    /// Constraints and kinks as vectors, and their matrix: kinks of group r live in the coordinates 4r .. 4r + 4.
    pub struct Drawn {
        pub vectors: [Vec<Vec<f64>>; 2],
        pub matrix: Shares,
    }

    pub fn numbers(rng: &mut impl Rng, n: usize) -> Vec<f64> {
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// `s` constraints, and groups of so many kinks, at most three.
    pub fn drawn(seed: u64, s: usize, groups: &[usize]) -> Drawn {
        let mut rng = stream(seed, "quadratic.shares", 0);
        let g = (0..s).map(|_| numbers(&mut rng, DIM)).collect();
        let mut kinks = Vec::new();
        for (r, n) in groups.iter().enumerate() {
            for _ in 0..*n {
                let mut k = vec![0.0; DIM];
                k[4 * r..4 * r + 4].copy_from_slice(&numbers(&mut rng, 4));
                kinks.push(k);
            }
        }
        let owner = (0..kinks.len()).map(|e| (e * 7 + seed as usize) % s).collect();
        let vectors = [g, kinks];
        Drawn { matrix: of_vectors(&vectors, groups, owner), vectors }
    }

    pub fn of_vectors([g, kinks]: &[Vec<Vec<f64>>; 2], groups: &[usize], owner: Vec<usize>) -> Shares {
        let mut left = &kinks[..];
        let mut blocks = Vec::new();
        for n in groups {
            let (group, rest) = left.split_at(*n);
            blocks.push(group.iter().flat_map(|a| group.iter().map(|b| dot(a, b))).collect());
            left = rest;
        }
        Shares {
            constraints: g.iter().flat_map(|a| g.iter().map(|b| dot(a, b))).collect(),
            mixed: kinks.iter().map(|k| g.iter().map(|g| dot(g, k)).collect()).collect(),
            blocks,
            owner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::drawn::*;
    use super::*;
    use crate::rng::stream;

    fn assert_near(a: &Shares, b: &Shares) {
        assert_eq!(a.owner, b.owner);
        assert_eq!(a.blocks.len(), b.blocks.len());
        let all = |of: &Shares| {
            [vec![of.constraints.clone()], of.mixed.clone(), of.blocks.clone()].concat().concat()
        };
        let (a, b) = (all(a), all(b));
        assert_eq!(a.len(), b.len());
        a.iter().zip(&b).for_each(|(x, y)| assert!((x - y).abs() < 1e-13, "{x} against {y}"));
    }

    #[test]
    fn kinks_are_counted_from_their_other_side() {
        for seed in 0..20 {
            let groups = [3, 0, 4];
            let of = drawn(seed, 1 + seed as usize % 5, &groups);
            let mut rng = stream(seed, "flips", 0);
            let s = of.vectors[0].len();
            let before = Weights { lambda: numbers(&mut rng, s), mu: numbers(&mut rng, 7) };
            let flips: Vec<usize> = (0..7).filter(|e| (seed >> (e % 4)) & 1 == 1 || e % 5 == 3).collect();
            let (mut matrix, mut linear) = (of.matrix.clone(), before.clone());
            matrix.flip(&flips, &mut linear);
            let ([mut g, mut k], mut expected) = (of.vectors.clone(), before.clone());
            for e in &flips {
                let c = of.matrix.owner[*e];
                axpy(1.0, &k[*e], &mut g[c]);
                crate::numeric::scale(-1.0, &mut k[*e]);
                expected.lambda[c] += expected.mu[*e];
                expected.mu[*e] *= -1.0;
            }
            assert_near(&matrix, &of_vectors(&[g, k], &groups, of.matrix.owner.clone()));
            linear.lambda.iter().zip(&expected.lambda).for_each(|(a, b)| assert!((a - b).abs() < 1e-13));
            assert_eq!(linear.mu, expected.mu);
            matrix.flip(&flips, &mut linear);
            assert_near(&matrix, &of.matrix);
        }
    }

    #[test]
    fn a_part_is_the_matrix_of_its_members() {
        let of = drawn(3, 5, &[3, 2, 4]);
        let constraints = [0, 2, 3];
        let kinks: Vec<usize> = (0..9).filter(|e| constraints.contains(&of.matrix.owner[*e])).collect();
        let part = of.matrix.part(&constraints, &kinks);
        let [g, k] = &of.vectors;
        let vectors = [
            constraints.iter().map(|c| g[*c].clone()).collect(),
            kinks.iter().map(|e| k[*e].clone()).collect(),
        ];
        let ends = [0, 3, 5, 9];
        let groups: Vec<usize> =
            (0..3).map(|r| kinks.iter().filter(|e| (ends[r]..ends[r + 1]).contains(*e)).count()).collect();
        let place = |e: &usize| constraints.iter().position(|c| *c == of.matrix.owner[*e]).unwrap();
        assert_near(&part, &of_vectors(&vectors, &groups, kinks.iter().map(place).collect()));
    }

    #[test]
    fn the_factor_solves() {
        for seed in 0..20 {
            let of = drawn(seed, 1 + seed as usize % 5, &[3, 0, 4]);
            let mut rng = stream(seed, "factor", 0);
            let s = of.vectors[0].len();
            let mut positive =
                |n: usize| numbers(&mut rng, n).iter().map(|x| x.abs() + 0.01).collect::<Vec<f64>>();
            let (own, right, left) = (positive(s), positive(7), positive(7));
            let y = Weights { lambda: positive(s), mu: positive(7) };
            // (G + AᵀDA) y, term by term.
            let mut b = of.matrix.times(&y);
            (0..s).for_each(|c| b.lambda[c] += own[c] * y.lambda[c]);
            for (e, c) in of.matrix.owner.iter().enumerate() {
                let between = left[e] * (y.lambda[*c] - y.mu[e]);
                b.lambda[*c] += between;
                b.mu[e] += right[e] * y.mu[e] - between;
            }
            of.matrix.factor([&own, &right, &left]).unwrap().solve(&mut b);
            let pairs = b.lambda.iter().zip(&y.lambda).chain(b.mu.iter().zip(&y.mu));
            pairs.for_each(|(x, y)| assert!((x - y).abs() < 1e-9, "{x} should be {y}"));
        }
    }
}
