//! The shortest correction that makes linear equations hold.

use crate::matrix::gram;
use crate::numeric::{axpy, dot, norm, scale};
use crate::quadratic::factor::Factor;

/// The shortest δ with Mδ = b, for M of rows × cols: δ = Mᵀ(MMᵀ)⁻¹b, refined by its own residual. Rows that depend on
/// those before them are left out; a consistent system meets them anyway.
pub(super) fn shortest(m: &[f64], rows: usize, cols: usize, b: &[f64]) -> Vec<f64> {
    let (mut unit, mut right) = (m.to_vec(), b.to_vec());
    for (row, b) in unit.chunks_exact_mut(cols.max(1)).zip(&mut right) {
        let size = norm(row);
        if size > 0.0 {
            scale(1.0 / size, row);
            *b /= size;
        }
    }
    let products = gram(&unit, rows, cols);
    let (mut factor, mut kept) = (Factor::default(), Vec::new());
    for i in 0..rows {
        let mut column: Vec<f64> = kept.iter().map(|j: &usize| products[i * rows + j]).collect();
        if products[i * rows + i] > 0.0 && factor.push(&mut column, products[i * rows + i]).is_ok() {
            kept.push(i);
        }
    }
    let mut delta = vec![0.0; cols];
    for _ in 0..4 {
        let row = |i: &usize| &unit[i * cols..(i + 1) * cols];
        let mut y: Vec<f64> = kept.iter().map(|i| right[*i] - dot(row(i), &delta)).collect();
        factor.solve(&mut y);
        kept.iter().zip(&y).for_each(|(i, y)| axpy(*y, row(i), &mut delta));
    }
    delta
}
