//! The shortest correction that makes linear equations hold.

use faer::Mat;

use crate::numeric::{axpy, dot, norm, scale};

/// A pivot below this fraction of the first is rounding: the equation depends on those before it.
const DEPENDENT: f64 = 1e-13;

/// The shortest δ with Mδ = b, for M of rows × cols: with Mᵀ P = QR it is Q R⁻ᵀ Pᵀ b, refined by its own residual. Equations
/// that depend on others are left out; a consistent system meets them anyway.
pub(super) fn shortest(m: &[f64], rows: usize, cols: usize, b: &[f64]) -> Vec<f64> {
    let mut delta = vec![0.0; cols];
    if rows == 0 || cols == 0 {
        return delta;
    }
    let (mut unit, mut right) = (m.to_vec(), b.to_vec());
    for (row, b) in unit.chunks_exact_mut(cols).zip(&mut right) {
        let size = norm(row);
        if size > 0.0 {
            scale(1.0 / size, row);
            *b /= size;
        }
    }
    let row = |i: usize| &unit[i * cols..(i + 1) * cols];
    let qr = Mat::from_fn(cols, rows, |j, i| unit[i * cols + j]).col_piv_qr();
    let (q, r, order) = (qr.compute_thin_Q(), qr.thin_R(), qr.P().arrays().0);
    let first = r[(0, 0)].abs();
    let rank = (0..r.nrows()).take_while(|k| r[(*k, *k)].abs() > DEPENDENT * first).count();
    for _ in 0..3 {
        let mut y: Vec<f64> = order[..rank].iter().map(|i| right[*i] - dot(row(*i), &delta)).collect();
        for i in 0..rank {
            y[i] = (y[i] - (0..i).map(|k| r[(k, i)] * y[k]).sum::<f64>()) / r[(i, i)];
        }
        for (k, y) in y.iter().enumerate() {
            axpy(*y, q.col_as_slice(k), &mut delta);
        }
    }
    delta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_meets_the_equations_and_is_the_shortest() {
        // Hilbert-like rows of condition number 1e8, and one that depends on the others.
        let (rows, cols) = (6, 9);
        let mut m: Vec<f64> = (0..5 * cols).map(|k| 1.0 / (1 + k / cols + k % cols) as f64).collect();
        m.extend((0..cols).map(|j| m[j] + 2.0 * m[cols + j]).collect::<Vec<_>>());
        let mut b = vec![1.0, -1.0, 2.0, 0.5, 0.25];
        b.push(b[0] + 2.0 * b[1]);
        let delta = shortest(&m, rows, cols, &b);
        for (row, b) in m.chunks(cols).zip(&b) {
            let size: f64 = row.iter().zip(&delta).map(|(x, d)| (x * d).abs()).sum();
            assert!((dot(row, &delta) - b).abs() < 1e-14 * size, "{} should be {b}", dot(row, &delta));
        }
        // It lies in the span of the rows: what is orthogonal to all of them is orthogonal to it.
        let other: Vec<f64> = (0..cols).map(|j| (j as f64).sin()).collect();
        let image: Vec<f64> = m.chunks(cols).map(|row| dot(row, &other)).collect();
        let back = shortest(&m, rows, cols, &image);
        let null: Vec<f64> = other.iter().zip(&back).map(|(a, b)| a - b).collect();
        assert!(dot(&null, &delta).abs() < 1e-9 * norm(&null) * norm(&delta));
    }
}
