//! Singular values block by block, for the matrix norms.

use crate::matrix::{Svd, singular_values};
use crate::{Block, Invalid, Layout};

/// Decomposes every block; None where the kernel fails on one.
pub(super) fn decompose_all(v: &[f64], layout: &Layout) -> Option<Vec<Svd>> {
    layout.blocks().iter().map(|b| Svd::of(b.of(v), b.rows, b.cols)).collect()
}

/// `of` the singular values, block by block; NaN where the kernel fails.
pub(super) fn over_blocks(v: &[f64], layout: &Layout, of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let of_block = |b: &Block| singular_values(b.of(v), b.rows, b.cols).map_or(f64::NAN, |s| of(&s));
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
