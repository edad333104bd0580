//! Singular value decompositions of blocks, for the matrix norms.
//!
//! A block is divided by its largest entry, sign included, before it is decomposed: gradients of 1e-300 and 1e300 are
//! the same matrix then, and what is computed for −G is minus what is computed for G, bit by bit. A matrix of one row
//! or one column needs no decomposition. The kernel runs on one thread, so that the result does not depend on how many
//! there are.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Mat, MatRef, Par};

use crate::numeric::norm;
use crate::{Block, Invalid, Layout};

/// G = scale·U diag(σ) Vᵀ with r = min(rows, cols) columns in U and V, σ descending and ‖G/scale‖∞ = 1.
#[derive(Clone, Debug)]
pub(super) struct Svd {
    /// The entry of G of largest absolute value, the first of equal ones; 0 for the matrix 0.
    pub scale: f64,
    /// Singular values of G/scale.
    pub sigma: Vec<f64>,
    /// Left singular vectors, rows × r.
    pub u: Mat<f64>,
    /// Right singular vectors, cols × r.
    pub v: Mat<f64>,
}

/// G/scale and the scale; None where an entry is not finite.
fn scaled(block: &[f64]) -> Option<(f64, Vec<f64>)> {
    let (mut scale, mut size) = (0.0f64, 0.0);
    for x in block {
        if !x.is_finite() {
            return None;
        }
        if x.abs() > size {
            (scale, size) = (*x, x.abs());
        }
    }
    let divided = block.iter().map(|x| if scale == 0.0 { 0.0 } else { x / scale }).collect();
    Some((scale, divided))
}

/// The singular values of a block, descending, divided by the returned scale; None where the kernel fails.
pub(super) fn singular_values(block: &[f64], rows: usize, cols: usize) -> Option<(f64, Vec<f64>)> {
    let (scale, a) = scaled(block)?;
    if scale == 0.0 || rows.min(cols) <= 1 {
        return Some((scale, vec![norm(&a); rows.min(cols)]));
    }
    let r = rows.min(cols);
    let mut s = Diag::zeros(r);
    let none = ComputeSvdVectors::No;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, none, none, Par::Seq, Default::default()));
    let a = MatRef::from_row_major_slice(&a, rows, cols);
    svd(a, s.as_mut(), None, None, Par::Seq, MemStack::new(&mut memory), Default::default()).ok()?;
    Some((scale, s.column_vector().iter().copied().collect()))
}

/// The thin decomposition of a block; None where the kernel fails.
pub(super) fn decompose(block: &[f64], rows: usize, cols: usize) -> Option<Svd> {
    let (scale, a) = scaled(block)?;
    let r = rows.min(cols);
    let mut found = Svd { scale, sigma: vec![0.0; r], u: Mat::zeros(rows, r), v: Mat::zeros(cols, r) };
    if scale == 0.0 || r == 0 {
        return Some(found);
    }
    if r == 1 {
        let size = norm(&a);
        found.sigma[0] = size;
        let (one, other) =
            if rows == 1 { (&mut found.u, &mut found.v) } else { (&mut found.v, &mut found.u) };
        one[(0, 0)] = 1.0;
        a.iter().enumerate().for_each(|(i, x)| other[(i, 0)] = x / size);
        return Some(found);
    }
    let mut s = Diag::zeros(r);
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, thin, thin, Par::Seq, Default::default()));
    let a = MatRef::from_row_major_slice(&a, rows, cols);
    let (u, v) = (Some(found.u.as_mut()), Some(found.v.as_mut()));
    svd(a, s.as_mut(), u, v, Par::Seq, MemStack::new(&mut memory), Default::default()).ok()?;
    found.sigma.iter_mut().zip(s.column_vector().iter()).for_each(|(to, s)| *to = *s);
    Some(found)
}

impl Svd {
    /// Number of singular values above rounding: σ_i > σ_1·max(rows, cols)·ε.
    pub fn rank(&self) -> usize {
        let floor = self.sigma.first().map_or(0.0, |s| s * rounding(self.u.nrows(), self.v.nrows()));
        self.sigma.iter().filter(|s| **s > floor).count()
    }

    /// Singular values of G itself.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.sigma.iter().map(|s| s * self.scale.abs())
    }

    /// Adds c·Σ_{i < count} u_i v_iᵀ·sign(scale) to a row-major block: the polar factor of the leading part of G.
    pub fn add_polar(&self, count: usize, c: f64, block: &mut [f64]) {
        let (cols, c) = (self.v.nrows(), c * self.scale.signum());
        for i in 0..self.u.nrows() {
            for j in 0..cols {
                let sum: f64 = (0..count).map(|k| self.u[(i, k)] * self.v[(j, k)]).sum();
                block[i * cols + j] += c * sum;
            }
        }
    }

    /// sign(scale)·Uᵀ T V restricted to the first `count` pairs: T in the basis of the leading singular pairs of G.
    pub fn project(&self, count: usize, target: &[f64]) -> Mat<f64> {
        let cols = self.v.nrows();
        let t = MatRef::from_row_major_slice(target, self.u.nrows(), cols);
        let sign = self.scale.signum();
        // T V first: products with a fixed order of summation.
        let tv =
            Mat::from_fn(t.nrows(), count, |i, k| (0..cols).map(|j| t[(i, j)] * self.v[(j, k)]).sum::<f64>());
        Mat::from_fn(count, count, |a, b| {
            sign * (0..t.nrows()).map(|i| self.u[(i, a)] * tv[(i, b)]).sum::<f64>()
        })
    }

    /// Adds c·sign(scale)·U S Vᵀ over the leading pairs, S of their number.
    pub fn add_congruence(&self, s: &Mat<f64>, c: f64, block: &mut [f64]) {
        let (count, cols, c) = (s.nrows(), self.v.nrows(), c * self.scale.signum());
        let us = Mat::from_fn(self.u.nrows(), count, |i, b| {
            (0..count).map(|a| self.u[(i, a)] * s[(a, b)]).sum::<f64>()
        });
        for i in 0..self.u.nrows() {
            for j in 0..cols {
                let sum: f64 = (0..count).map(|b| us[(i, b)] * self.v[(j, b)]).sum();
                block[i * cols + j] += c * sum;
            }
        }
    }

    /// Takes from a row-major block what lies in the leading `count` left or right singular directions:
    /// (I − U Uᵀ) T (I − V Vᵀ).
    pub fn remove_leading(&self, count: usize, block: &mut [f64]) {
        let (rows, cols) = (self.u.nrows(), self.v.nrows());
        for k in 0..count {
            for j in 0..cols {
                let along: f64 = (0..rows).map(|i| self.u[(i, k)] * block[i * cols + j]).sum();
                (0..rows).for_each(|i| block[i * cols + j] -= along * self.u[(i, k)]);
            }
            for row in block.chunks_exact_mut(cols) {
                let along: f64 = row.iter().enumerate().map(|(j, x)| x * self.v[(j, k)]).sum();
                row.iter_mut().enumerate().for_each(|(j, x)| *x -= along * self.v[(j, k)]);
            }
        }
    }
}

/// max(rows, cols)·ε: the relative rounding of a decomposition.
pub(super) fn rounding(rows: usize, cols: usize) -> f64 {
    rows.max(cols) as f64 * f64::EPSILON
}

/// Eigenvalues and eigenvectors of a symmetric matrix; None where the kernel fails.
pub(super) fn eigen(a: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let (mut s, mut u) = (Diag::zeros(n), Mat::zeros(n, n));
    let yes = ComputeEigenvectors::Yes;
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(n, yes, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(a.as_ref(), s.as_mut(), Some(u.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    Some((s.column_vector().iter().copied().collect(), u))
}

/// Decomposes every block; None where the kernel fails on one.
pub(super) fn decompose_all(v: &[f64], layout: &Layout) -> Option<Vec<Svd>> {
    layout.blocks().iter().map(|b| decompose(b.of(v), b.rows, b.cols)).collect()
}

/// ‖σ‖ block by block, with scales taken back in; NaN where the kernel fails.
pub(super) fn over_blocks(v: &[f64], layout: &Layout, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let of_block = |b: &Block| match singular_values(b.of(v), b.rows, b.cols) {
        Some((scale, sigma)) => of(&sigma) * scale.abs(),
        None => f64::NAN,
    };
    layout.blocks().iter().map(of_block).collect()
}

/// Refuses blocks that are vectors, naming what mixes a matrix norm with another.
pub(super) fn only_matrices(name: &str, layout: &Layout) -> Result<(), Invalid> {
    let Some(block) = layout.blocks().iter().find(|b| !b.is_matrix()) else { return Ok(()) };
    let text = format!(
        "{name} is a norm of matrices, and the block {} is a vector of {}; mix it with another norm: \
         {{ kind = \"blockwise\", combine = \"max\", inner = \"{name}\", vectors = \"l2\" }}",
        block.name,
        block.len()
    );
    Err(Invalid::new("", text))
}
