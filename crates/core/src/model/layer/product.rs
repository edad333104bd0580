//! Products of row-major matrices, cut into blocks that threads can share.
//!
//! The cuts depend on the shapes alone, and each block is summed by one thread, so the bytes of a product do not depend on how
//! many threads there are.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Multiplications and additions of a block that is not worth a cut: a third of a millisecond.
const GRAIN: usize = 16_000_000;
/// Multiplications of a symmetric block of which the half that nobody needs costs less than a cut would.
const GRAM_GRAIN: usize = 1_500_000;
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

/// Writes the lower triangle of a·aᵀ, rows × rows, for a of rows × cols; what is above the diagonal may be anything.
pub(super) fn gram_lower(out: &mut [f64], a: &[f64], rows: usize, cols: usize) {
    let a = MatRef::from_row_major_slice(&a[..rows * cols], rows, cols);
    gram_in_blocks(MatMut::from_row_major_slice_mut(&mut out[..rows * rows], rows, rows), a);
}

fn gram_in_blocks(out: MatMut<'_, f64>, a: MatRef<'_, f64>) {
    let rows = a.nrows();
    if rows <= 2 * CUT || rows * rows * a.ncols() <= GRAM_GRAIN {
        return matmul(out, Accum::Replace, a, a.transpose(), 1.0, Par::Seq);
    }
    let half = (rows / 2).next_multiple_of(CUT);
    let (upper, lower) = a.split_at_row(half);
    let (first, _, below, second) = out.split_at_mut(half, half);
    both(
        || in_blocks(below, Accum::Replace, lower, upper.transpose()),
        || both(|| gram_in_blocks(first, upper), || gram_in_blocks(second, lower)),
    );
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
    fn a_gram_matrix_in_blocks_is_the_table_of_inner_products() {
        for (rows, cols) in [(1, 3), (33, 7), (150, 200), (301, 64)] {
            let mut rng = stream(2, "gram", rows as u64);
            let a: Vec<f64> = (0..rows * cols).map(|_| rng.random_range(-1.0..1.0)).collect();
            let mut out = vec![f64::NAN; rows * rows];
            gram_lower(&mut out, &a, rows, cols);
            for i in 0..rows {
                for j in 0..=i {
                    let (x, y) = (&a[i * cols..(i + 1) * cols], &a[j * cols..(j + 1) * cols]);
                    let truth: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                    assert!((out[i * rows + j] - truth).abs() < 1e-13 * cols as f64);
                }
            }
        }
    }

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
