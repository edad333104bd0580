//! A Cholesky factor that gains and loses rows.
//!
//! A = LLᵀ, with L packed row by row. A new last row of A appends a row of L (one forward substitution); deleting
//! a row of A deletes that row of L and rotates the rest back to a triangle (Givens; backward stable, since it
//! adds a square and subtracts none).
//!
//! # References
//! Lawson & Hanson, *Solving Least Squares Problems* (1974), chapter 24

use super::{add_scaled, dot};
use crate::numeric::wide;

/// A pivot below this fraction of its diagonal entry is rounding: the row depends on those before it.
const DEPENDENT: f64 = 1e-14;

/// L of A = LLᵀ, and its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Factor {
    /// Row i has i + 1 entries and starts at i(i+1)/2.
    pub rows: Vec<f64>,
    pub order: usize,
    rotations: Vec<(f64, f64)>,
}

impl Factor {
    pub fn clear(&mut self) {
        self.rows.clear();
        self.order = 0;
    }

    /// Row i of L, to its diagonal.
    pub fn row(&self, i: usize) -> &[f64] {
        let start = i * (i + 1) / 2;
        &self.rows[start..=start + i]
    }

    /// Solves Ly = b in place.
    pub fn forward(&self, b: &mut [f64]) {
        wide(|| {
            for i in 0..b.len() {
                let row = self.row(i);
                b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
            }
        });
    }

    /// Solves Lᵀx = y in place.
    pub fn backward(&self, y: &mut [f64]) {
        wide(|| {
            for i in (0..y.len()).rev() {
                let row = self.row(i);
                y[i] /= row[i];
                let x = y[i];
                add_scaled(&mut y[..i], -x, &row[..i]);
            }
        });
    }

    /// Solves Ax = b in place.
    pub fn solve(&self, b: &mut [f64]) {
        self.forward(b);
        self.backward(b);
    }

    /// Appends the row (`column`, `diagonal`) of A. Overwrites `column` with L⁻¹·column.
    ///
    /// # Errors
    /// The pivot, when rounding decides it; the factor is then as it was.
    pub fn push(&mut self, column: &mut [f64], diagonal: f64) -> Result<(), f64> {
        self.push_above(column, diagonal, DEPENDENT * diagonal)
    }

    /// The whole factor of A, given row by row in full rows; None where a pivot is not positive, however small.
    pub fn of(a: &[f64], order: usize) -> Option<Factor> {
        let mut factor = Factor::default();
        factor.rows.reserve(order * (order + 1) / 2);
        for i in 0..order {
            let mut column = a[i * order..i * order + i].to_vec();
            factor.push_above(&mut column, a[i * order + i], 0.0).ok()?;
        }
        Some(factor)
    }

    fn push_above(&mut self, column: &mut [f64], diagonal: f64, least: f64) -> Result<(), f64> {
        self.forward(column);
        let pivot = diagonal - dot(column, column);
        // Written so that a NaN counts as dependent.
        if !(pivot > least) {
            return Err(pivot);
        }
        self.rows.extend_from_slice(column);
        self.rows.push(pivot.sqrt());
        self.order += 1;
        Ok(())
    }

    /// Deletes row and column `position` of A.
    pub fn remove(&mut self, position: usize) {
        self.rotations.clear();
        for i in position + 1..self.order {
            let (from, to) = (i * (i + 1) / 2, i * (i - 1) / 2);
            self.rows.copy_within(from..from + position, to);
            let mut carry = self.rows[from + position];
            for (k, (c, s)) in (position..).zip(&self.rotations) {
                let next = self.rows[from + k + 1];
                self.rows[to + k] = c * carry + s * next;
                carry = c * next - s * carry;
            }
            let last = self.rows[from + i];
            let pivot = (carry * carry + last * last).sqrt();
            self.rotations.push((carry / pivot, last / pivot));
            self.rows[to + i - 1] = pivot;
        }
        self.order -= 1;
        self.rows.truncate(self.order * (self.order + 1) / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A = XXᵀ + I for a fixed smooth X: well conditioned, no two rows alike.
    fn entry(i: usize, j: usize) -> f64 {
        let x = |i: usize, t: usize| ((3 * i + 7 * t + 1) as f64 * 0.37).sin();
        (0..5).map(|t| x(i, t) * x(j, t)).sum::<f64>() + f64::from(i == j)
    }

    fn factored(members: &[usize]) -> Factor {
        let mut factor = Factor::default();
        for (n, &i) in members.iter().enumerate() {
            let mut column: Vec<f64> = members[..n].iter().map(|&j| entry(i, j)).collect();
            factor.push(&mut column, entry(i, i)).unwrap();
        }
        factor
    }

    #[test]
    fn removing_a_row_gives_the_factor_of_what_is_left() {
        for gone in 0..20 {
            let mut members: Vec<usize> = (0..20).collect();
            let mut factor = factored(&members);
            factor.remove(gone);
            members.remove(gone);
            for (x, y) in factor.rows.iter().zip(&factored(&members).rows) {
                // The factor with a positive diagonal is unique; the condition number here is below 100.
                assert!((x - y).abs() < 1e-13, "without {gone}: {x} against {y}");
            }
        }
    }

    #[test]
    fn solve_inverts_the_matrix() {
        let members: Vec<usize> = (0..17).collect();
        let mut x: Vec<f64> =
            members.iter().map(|&i| (0..17).map(|j| entry(i, j) * j as f64).sum()).collect();
        factored(&members).solve(&mut x);
        for (i, x) in x.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-12, "{x} should be {i}");
        }
    }

    #[test]
    fn a_dependent_row_is_refused_and_changes_nothing() {
        let mut factor = Factor::default();
        factor.push(&mut [], 4.0).unwrap();
        let before = factor.rows.clone();
        assert!(factor.push(&mut [2.0], 1.0).is_err(), "half of the first member");
        assert!(factor.push(&mut [f64::NAN], 1.0).is_err(), "not a number");
        assert_eq!((factor.rows, factor.order), (before, 1));
    }
}
