//! Products of row-major matrices, cut into blocks that threads can share.
//!
//! The cuts depend on the shapes alone, and each block is summed by one thread, so the bytes of a product do not depend on how
//! many threads there are.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Multiplications and additions of a block that is not worth a cut: a third of a millisecond.
const GRAIN: usize = 16_000_000;
/// Most columns of a block: so few that the packed part of `b` stays in the second-level cache.
const COLUMNS: usize = 255;
/// Columns are cut at multiples of two vectors of AVX-512: nearly equal halves, and no narrow tile at the end of one.
const CUT: usize = 16;

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
    let half = (cols / 2).next_multiple_of(CUT);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand::Rng;

    #[test]
    fn a_product_in_blocks_is_the_sum_of_products() {
        // 60 million operations: several blocks, the last one narrow.
        let (rows, cols, depth) = (300, 500, 200);
        let mut rng = stream(1, "product", 0);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        let (a, b, start) = (numbers(rows * depth), numbers(depth * cols), numbers(rows * cols));
        let transposed = |x: &[f64], rows: usize, cols: usize| -> Vec<f64> {
            (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
        };
        let mut truth = vec![0.0; rows * cols];
        for i in 0..rows {
            for k in 0..depth {
                for j in 0..cols {
                    truth[i * cols + j] += a[i * depth + k] * b[k * cols + j];
                }
            }
        }
        let (a_turned, b_turned) = (transposed(&a, rows, depth), transposed(&b, depth, cols));
        for a in [(&a[..], depth, false), (&a_turned[..], rows, true)] {
            for b in [(&b[..], cols, false), (&b_turned[..], depth, true)] {
                for accum in [Accum::Replace, Accum::Add] {
                    let mut out = start.clone();
                    product(&mut out, cols, rows, accum, a, b);
                    for ((out, truth), start) in out.iter().zip(&truth).zip(&start) {
                        let truth = if accum == Accum::Add { start + truth } else { *truth };
                        // Sums of 200 products below 1, in another order.
                        assert!((out - truth).abs() < 1e-12, "{out} against {truth}");
                    }
                }
            }
        }
    }
}
