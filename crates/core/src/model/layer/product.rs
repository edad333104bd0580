//! Products of row-major matrices, cut into blocks that threads can share.
//!
//! The cuts depend on the shapes alone, and each block is summed by one thread, so the bytes of a product do not depend on how
//! many threads there are.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Multiplications and additions of a block that is not worth a cut: a third of a millisecond.
const GRAIN: usize = 16_000_000;
/// Columns of a block: a multiple of the widest tile of the kernels (48 numbers of AVX-512, 12 of AVX2), and few enough for the
/// packed part of `b` to stay in the second-level cache.
const COLUMNS: usize = 192;

/// out (rows × cols) = or += op(a)·op(b), each given as (numbers, columns as stored, transposed).
pub(super) fn product(
    out: &mut [f64],
    cols: usize,
    rows: usize,
    accum: Accum,
    a: (&[f64], usize, bool),
    b: (&[f64], usize, bool),
) {
    let out = MatMut::from_row_major_slice_mut(&mut out[..rows * cols], rows, cols);
    in_blocks(out, accum, oriented(a), oriented(b));
}

fn in_blocks(out: MatMut<'_, f64>, accum: Accum, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let cols = out.ncols();
    if 2 * out.nrows() * cols * a.ncols() <= GRAIN || cols <= COLUMNS {
        return matmul(out, accum, a, b, 1.0, Par::Seq);
    }
    // The largest multiple below the width, where half of it rounds up beyond.
    let half = (cols / 2).next_multiple_of(COLUMNS).min((cols - 1) / COLUMNS * COLUMNS);
    let ((left, right), (b_left, b_right)) = (out.split_at_col_mut(half), b.split_at_col(half));
    both(|| in_blocks(left, accum, a, b_left), || in_blocks(right, accum, a, b_right));
}

fn oriented((data, cols, transposed): (&[f64], usize, bool)) -> MatRef<'_, f64> {
    let stored = MatRef::from_row_major_slice(data, data.len() / cols, cols);
    if transposed { stored.transpose() } else { stored }
}

/// Does two independent things, at the same time where there are threads for it.
pub(super) fn both(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    if rayon::current_num_threads() > 1 {
        rayon::join(one, other);
    } else {
        one();
        other();
    }
}
