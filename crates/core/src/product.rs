//! Products and factors of large row-major matrices, cut into blocks that threads can share.
//!
//! The cuts depend on the shapes alone, and each block is summed by one thread, so the bytes of a product do not depend on how
//! many threads there are.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Multiplications and additions of a block that is not worth a cut: a third of a millisecond.
const GRAIN: usize = 16_000_000;
/// Multiplications of a symmetric block of which the half that nobody needs costs less than a cut would.
const GRAM_GRAIN: usize = 1_500_000;
/// Most columns of a block: so few that the packed part of `b` stays in the second-level cache.
const COLUMNS: usize = 255;
/// Columns are cut at multiples of two vectors of AVX-512: nearly equal halves, and no narrow tile at the end of one.
const CUT: usize = 16;
/// Rows of a triangle that is factored at once, and of a piece that is divided by one.
const PIECE: usize = 192;

/// out (rows × cols) = or += op(a)·op(b), each given as (numbers, columns as stored, transposed).
pub(crate) fn product(
    out: &mut [f64],
    cols: usize,
    rows: usize,
    accum: Accum,
    a: (&[f64], usize, bool),
    b: (&[f64], usize, bool),
) {
    let out = MatMut::from_row_major_slice_mut(&mut out[..rows * cols], rows, cols);
    in_blocks(out, accum, oriented(a), oriented(b), 1.0);
}

/// out = or += c·a·b.
fn in_blocks(out: MatMut<'_, f64>, accum: Accum, a: MatRef<'_, f64>, b: MatRef<'_, f64>, c: f64) {
    let cols = out.ncols();
    if 2 * out.nrows() * cols * a.ncols() <= GRAIN || cols <= COLUMNS {
        return matmul(out, accum, a, b, c, Par::Seq);
    }
    let half = (cols / 2).next_multiple_of(CUT);
    let ((left, right), (b_left, b_right)) = (out.split_at_col_mut(half), b.split_at_col(half));
    both(|| in_blocks(left, accum, a, b_left, c), || in_blocks(right, accum, a, b_right, c));
}

/// Writes the lower triangle of a·aᵀ, rows × rows, for a of rows × cols; what is above the diagonal may be anything.
pub(crate) fn gram_lower(out: &mut [f64], a: &[f64], rows: usize, cols: usize) {
    let a = MatRef::from_row_major_slice(&a[..rows * cols], rows, cols);
    gram_in_blocks(
        MatMut::from_row_major_slice_mut(&mut out[..rows * rows], rows, rows),
        Accum::Replace,
        a,
        1.0,
    );
}

/// The lower triangle of c·a·aᵀ, or of that added to `out`.
pub(crate) fn gram_in_blocks(out: MatMut<'_, f64>, accum: Accum, a: MatRef<'_, f64>, c: f64) {
    let rows = a.nrows();
    if rows <= 2 * CUT || rows * rows * a.ncols() <= GRAM_GRAIN {
        return matmul(out, accum, a, a.transpose(), c, Par::Seq);
    }
    let half = (rows / 2).next_multiple_of(CUT);
    let (upper, lower) = a.split_at_row(half);
    let (first, _, below, second) = out.split_at_mut(half, half);
    both(
        || in_blocks(below, accum, lower, upper.transpose(), c),
        || both(|| gram_in_blocks(first, accum, upper, c), || gram_in_blocks(second, accum, lower, c)),
    );
}

fn oriented((data, cols, transposed): (&[f64], usize, bool)) -> MatRef<'_, f64> {
    let stored = MatRef::from_row_major_slice(data, data.len() / cols, cols);
    if transposed { stored.transpose() } else { stored }
}

/// The Cholesky factor of the lower triangle of `a`, in its place. None where a pivot is not positive.
pub(crate) fn cholesky(mut a: MatMut<'_, f64>) -> Option<()> {
    let n = a.nrows();
    if n <= PIECE {
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
        let stack = MemStack::new(&mut memory);
        return cholesky_in_place(a, Default::default(), Par::Seq, stack, Default::default()).ok().map(drop);
    }
    let half = (n / 2).next_multiple_of(8);
    let (mut first, _, mut mixed, mut last) = a.rb_mut().split_at_mut(half, half);
    cholesky(first.rb_mut())?;
    divide(mixed.rb_mut(), first.rb());
    gram_in_blocks(last.rb_mut(), Accum::Add, mixed.rb(), -1.0);
    cholesky(last)
}

/// a ← a·L⁻ᵀ, in pieces of rows.
fn divide(a: MatMut<'_, f64>, l: MatRef<'_, f64>) {
    if a.nrows() <= PIECE {
        return solve_lower_triangular_in_place(l, a.transpose_mut(), Par::Seq);
    }
    let half = (a.nrows() / 2).next_multiple_of(8);
    let (above, below) = a.split_at_row_mut(half);
    both(|| divide(above, l), || divide(below, l));
}

/// Does two independent things, at the same time where there are threads for it.
pub(crate) fn both(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
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
    fn a_factor_in_blocks_is_right_and_the_same_on_any_number_of_threads() {
        let (n, k) = (3 * PIECE + 37, 70);
        let a: Vec<f64> = (0..n * k).map(|i| ((i * i) as f64 * 0.37 + i as f64).sin()).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut whole = vec![0.0; n * n];
                gram_lower(&mut whole, &a, n, k);
                (0..n).for_each(|i| whole[i * n + i] += 1.0);
                let mut factor = whole.clone();
                cholesky(MatMut::from_row_major_slice_mut(&mut factor, n, n)).unwrap();
                let lower =
                    |of: &[f64]| (0..n).flat_map(|i| of[i * n..=i * n + i].to_vec()).collect::<Vec<f64>>();
                (lower(&whole), lower(&factor))
            })
        };
        let (whole, factor) = on(1);
        assert!((whole.clone(), factor.clone()) == on(2));
        let entry = |of: &[f64], i: usize, j: usize| of[i * (i + 1) / 2 + j];
        let row = |i: usize| &a[i * k..(i + 1) * k];
        for i in (0..n).step_by(7) {
            for j in (0..=i).step_by(5) {
                let exact: f64 = row(i).iter().zip(row(j)).map(|(x, y)| x * y).sum();
                assert!((entry(&whole, i, j) - exact - f64::from(i == j)).abs() < 1e-12);
                let again: f64 = (0..=j).map(|l| entry(&factor, i, l) * entry(&factor, j, l)).sum();
                assert!((again - entry(&whole, i, j)).abs() < 1e-11, "{i}, {j}: {again}");
            }
        }
        let mut indefinite = vec![0.0; n * n];
        (0..n).for_each(|i| indefinite[i * n + i] = if i == n - 3 { -1.0 } else { 1.0 });
        assert!(cholesky(MatMut::from_row_major_slice_mut(&mut indefinite, n, n)).is_none());
    }

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
