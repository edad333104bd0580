//! Extreme eigenvalues of a symmetric operator that is known only by its products with vectors.
//!
//! Lanczos' method with full reorthogonalisation: after m products the eigenvalues of an m × m tridiagonal matrix bound those
//! of the operator from inside, and every pair (λ, v) found comes with its residual ‖Av − λv‖, within which some eigenvalue
//! of the operator lies.
//!
//! # References
//! B. N. Parlett, *The Symmetric Eigenvalue Problem* (1980), chapters 4 and 13

use faer::Mat;

use crate::matrix::eigen;
use crate::numeric::{axpy, dot, norm, scale};

/// An eigenvalue with its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Ritz {
    /// λ = ⟨v, Av⟩.
    pub value: f64,
    /// The unit vector v.
    pub vector: Vec<f64>,
    /// ‖Av − λv‖: some eigenvalue lies within it of λ.
    pub residual: f64,
}

/// The largest eigenvalue of the symmetric operator `apply` on vectors as long as `start`, from at most `most` products. Ends
/// early once the residual is at most `tolerance`·|λ|. None for a start of zero, where `apply` fails, and where a number stops
/// being finite.
///
/// # Accuracy
/// To rounding after as many products as `start` is long; the residual says how near it is before.
///
/// # Examples
/// A diagonal matrix:
/// ```
/// use latephase_core::lanczos::largest;
/// let diagonal = [1.0, 5.0, -7.0];
/// let apply = |v: &[f64]| Some(v.iter().zip(diagonal).map(|(v, d)| d * v).collect());
/// let top = largest(&[1.0, 1.0, 1.0], 10, 1e-12, apply).unwrap();
/// assert!((top.value - 5.0).abs() < 1e-12 && (top.vector[1].abs() - 1.0).abs() < 1e-12);
/// ```
pub fn largest(
    start: &[f64],
    most: usize,
    tolerance: f64,
    mut apply: impl FnMut(&[f64]) -> Option<Vec<f64>>,
) -> Option<Ritz> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let (mut alphas, mut betas): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = start.to_vec();
    let mut size = norm(&next);
    let mut found = None;
    let mut seen = 0.0f64;
    for _ in 0..most.min(start.len()) {
        if !(size > 0.0 && size.is_finite()) {
            break;
        }
        scale(1.0 / size, &mut next);
        let mut image = apply(&next)?;
        let alpha = dot(&next, &image);
        if !alpha.is_finite() {
            return None;
        }
        basis.push(std::mem::take(&mut next));
        alphas.push(alpha);
        seen = seen.max(norm(&image));
        // The second pass removes what rounding left of the first.
        for _ in 0..2 {
            basis.iter().for_each(|v| axpy(-dot(v, &image), v, &mut image));
        }
        size = norm(&image);
        let m = alphas.len();
        let tridiagonal = Mat::from_fn(m, m, |i, j| match i.abs_diff(j) {
            0 => alphas[i],
            1 => betas[i.min(j)],
            _ => 0.0,
        });
        let (values, vectors) = eigen(tridiagonal.as_ref())?;
        let (value, weights) = (values[m - 1], vectors.col(m - 1).iter().copied().collect::<Vec<f64>>());
        let residual = size * weights[m - 1].abs();
        found = Some((value, weights, residual));
        // Below this the remainder is rounding: the space is invariant.
        if residual <= tolerance * value.abs() || size <= 1e-14 * seen {
            break;
        }
        betas.push(size);
        next = image;
    }
    let (value, weights, residual) = found?;
    let mut vector = vec![0.0; start.len()];
    basis.iter().zip(&weights).for_each(|(v, w)| axpy(*w, v, &mut vector));
    Some(Ritz { value, vector, residual })
}
