//! Maximal margins in a feature space that is known by a Gram matrix alone.
//!
//! With G_nm = ⟨a_n, a_m⟩ of signed features, θ = Σβ_n a_n has margins Gβ and norm √(βᵀGβ): the maximal margin is the
//! distance from 0 to the hull of the a_n.

use super::hull::{self, Members};
use super::{Failure, Optimum};
use crate::Invalid;
use crate::numeric::{compensated_sum, dot};

/// Unit roundoff.
const U: f64 = f64::EPSILON / 2.0;

struct Inner<'a> {
    gram: &'a [f64],
    n: usize,
}

impl Members for Inner<'_> {
    fn len(&self) -> usize {
        self.n
    }

    fn inner(&self, c: usize, d: usize) -> f64 {
        self.gram[c * self.n + d]
    }

    fn slopes(&self, weights: &[(usize, f64)]) -> Vec<f64> {
        let mut slopes = vec![0.0; self.n];
        for (c, w) in weights {
            crate::numeric::axpy(*w, &self.gram[c * self.n..(c + 1) * self.n], &mut slopes);
        }
        slopes
    }
}

/// The maximal ℓ2 margin of `n` signed features with this Gram matrix, n × n and row-major. `solution` holds the
/// coefficients β of θ = Σβ_n a_n, with βᵀGβ = 1.
///
/// # Errors
/// [`Failure::NotSeparable`] where the hull contains 0 as far as G can tell: its residual is
/// √(λᵀGλ)/Σλ_n√G_nn, which the rounding of G keeps above about 1e-8.
///
/// # Examples
/// Two orthogonal unit features are at a distance of 1/√2 from 0; the value errs downwards by its roundings:
/// ```
/// let found = latephase_core::exact::kernel::max_margin(&[1.0, 0.0, 0.0, 1.0], 2)?;
/// assert!(found.value <= 0.5f64.sqrt() && found.value > 0.5f64.sqrt() - 1e-14 && found.gap() < 1e-14);
/// # Ok::<(), latephase_core::exact::Failure>(())
/// ```
pub fn max_margin(gram: &[f64], n: usize) -> Result<Optimum, Failure> {
    check(gram, n)?;
    let lambda = hull::shortest(&Inner { gram, n });
    let found = verify(gram, n, &lambda, &lambda);
    match found {
        Ok(found) if found.value > 0.0 => Ok(found),
        _ => {
            let size = compensated_sum((0..n).map(|c| lambda[c] * gram[c * n + c].max(0.0).sqrt()));
            let residual = square(gram, n, &lambda).max(0.0).sqrt() / size;
            if residual <= 1e-6 {
                return Err(Failure::NotSeparable { weights: lambda, residual });
            }
            Err(Failure::Stalled(format!(
                "the hull's shortest vector, {residual:.1e} of its members, was not found"
            )))
        }
    }
}

/// Bounds from coefficients β and multipliers λ: min_n (Gβ)_n/√(βᵀGβ) and √(λᵀGλ)/Σλ_n, for a Gram matrix that is one.
///
/// # Errors
/// Lengths that do not fit; coefficients of norm 0 or multipliers of sum 0.
pub fn verify(gram: &[f64], n: usize, solution: &[f64], dual: &[f64]) -> Result<Optimum, Invalid> {
    check(gram, n)?;
    if solution.len() != n || dual.len() != n {
        let text = format!("{} coefficients and {} multipliers for {n} features", solution.len(), dual.len());
        return Err(Invalid::new("solution", text));
    }
    let lambda: Vec<f64> = dual.iter().map(|l| l.max(0.0)).collect();
    let total = compensated_sum(lambda.iter().copied());
    let size = square(gram, n, solution).max(0.0).sqrt();
    if !(size > 0.0 && total > 0.0) {
        return Err(Invalid::new(
            "solution",
            format!("coefficients of norm {size}, multipliers of sum {total}"),
        ));
    }
    let (mut least, mut rounding) = (f64::INFINITY, 0.0f64);
    for row in gram.chunks_exact(n) {
        least = least.min(compensated_sum(row.iter().zip(solution).map(|(g, b)| g * b)));
        rounding = rounding.max(row.iter().zip(solution).map(|(g, b)| (g * b).abs()).sum());
    }
    let bound = square(gram, n, &lambda).max(0.0).sqrt() / total;
    let value = (least - 2.0 * U * rounding) / size;
    let solution = solution.iter().map(|b| b / size).collect();
    Ok(Optimum {
        solution,
        value: value - 8.0 * U * value.abs(),
        dual: lambda.iter().map(|l| l / total).collect(),
        bound: bound * (1.0 + 8.0 * U),
    })
}

/// vᵀGv.
fn square(gram: &[f64], n: usize, v: &[f64]) -> f64 {
    compensated_sum(gram.chunks_exact(n).zip(v).filter(|(_, x)| **x != 0.0).map(|(row, x)| x * dot(row, v)))
}

fn check(gram: &[f64], n: usize) -> Result<(), Invalid> {
    if n == 0 || gram.len() != n * n {
        return Err(Invalid::new("gram", format!("{} numbers are no {n} x {n} matrix", gram.len())));
    }
    if !crate::numeric::all_finite(gram) {
        return Err(Invalid::new("gram", "every number has to be finite"));
    }
    Ok(())
}
