//! The maximal margin of a linear model, geometry by geometry.

use super::hull::{self, Members};
use super::{Constraints, Failure, Geometry, Optimum, farkas, polyhedral, proximal, smooth, verify};
use crate::Invalid;
use crate::quadratic::factor::Factor;

/// A relative gap that is even enough.
const EVEN: f64 = 1e-12;

impl Members for Constraints<'_> {
    fn len(&self) -> usize {
        Constraints::len(self)
    }

    fn inner(&self, c: usize, d: usize) -> f64 {
        Constraints::inner(self, c, d)
    }

    fn slopes(&self, weights: &[(usize, f64)]) -> Vec<f64> {
        let mut lambda = vec![0.0; self.len()];
        weights.iter().for_each(|(c, w)| lambda[*c] = *w);
        self.margins(&self.combine(&lambda))
    }
}

/// max over ‖θ‖ ≤ 1 of min_c ⟨a_c, θ⟩, with bounds by [`verify`].
///
/// Whether anything separates does not depend on the norm, so the ℓ2 problem is solved first; what it finds is where the
/// others begin.
///
/// # Accuracy
/// The gap is what it is and is returned; in f64 it ends near 1e-11 for ℓ2 and below 1e-9 for the others, on data whose
/// margin is not small beside their size.
///
/// # Errors
/// [`Failure::NotSeparable`] with a certificate, [`Failure::Stalled`], or a power p that is no norm.
///
/// # Examples
/// The four points of the targets have the margins 3/2, 3/√2 and 3:
/// ```
/// use latephase_core::exact::{Constraints, Geometry, max_margin};
/// let a = Constraints::vectors(vec![2.0, 1.0, 1.0, 3.0, 1.0, 2.0, 3.0, 0.5], 2)?;
/// for (geometry, exact) in
///     [(Geometry::L1, 1.5), (Geometry::L2, 3.0 / 2f64.sqrt()), (Geometry::Linf, 3.0)]
/// {
///     let found = max_margin(&a, geometry)?;
///     assert!((found.value / exact - 1.0).abs() < 1e-12 && found.gap() < 1e-12);
/// }
/// # Ok::<(), latephase_core::exact::Failure>(())
/// ```
pub fn max_margin(a: &Constraints<'_>, geometry: Geometry) -> Result<Optimum, Failure> {
    a.check()?;
    if let Geometry::Lp(p) = geometry
        && !(p > 1.0 && p.is_finite())
    {
        return Err(
            Invalid::new("p", format!("{p} is not allowed; use a finite power above 1, l1 or linf")).into()
        );
    }
    let lambda = hull::shortest(a);
    let euclidean = match verify(a, Geometry::L2, &a.combine(&lambda), &lambda) {
        Ok(found) if found.value > 0.0 => polished(a, found),
        _ => return Err(farkas::failure(a, &lambda)),
    };
    match geometry {
        Geometry::L2 => Ok(euclidean),
        Geometry::L1 | Geometry::Linf => polyhedral::max_margin(a, geometry, &euclidean),
        Geometry::Lp(p) => smooth::max_margin(a, p, &euclidean),
        // One row is a vector to every norm of singular values.
        Geometry::Spectral | Geometry::Nuclear if a.shape().0 == 1 => {
            Ok(verify(a, geometry, &euclidean.solution, &euclidean.dual)?)
        }
        Geometry::Spectral | Geometry::Nuclear => proximal::max_margin(a, geometry, &euclidean),
    }
}

/// Evens the margins of the support: those of g itself are known to 2⁻⁵³‖a‖‖g‖, where inner products of features miss
/// 2⁻⁵³‖a‖², which matters where the margin is small beside the features.
fn polished(a: &Constraints<'_>, found: Optimum) -> Optimum {
    let mut best = found;
    let support: Vec<usize> = (0..a.len()).filter(|c| best.dual[*c] > 0.0).collect();
    let (mut factor, mut kept) = (Factor::default(), Vec::new());
    let shift = best.bound * best.bound;
    for c in support {
        let mut column: Vec<f64> = kept.iter().map(|d| a.inner(c, *d) + shift).collect();
        if factor.push(&mut column, a.inner(c, c) + shift).is_ok() {
            kept.push(c);
        }
    }
    let mut ones = vec![1.0; kept.len()];
    factor.solve(&mut ones);
    let level: f64 = ones.iter().sum();
    for _ in 0..4 {
        if best.gap() < EVEN {
            break;
        }
        let g = a.combine_exactly(&best.dual);
        let margins: Vec<f64> = kept.iter().map(|c| a.margin_exactly(*c, &g)).collect();
        let mean = margins.iter().sum::<f64>() / margins.len() as f64;
        // (G_S + shift·eeᵀ)δ = mean − margins + νe, with the ν that makes Σδ = 0.
        let mut delta: Vec<f64> = margins.iter().map(|m| mean - m).collect();
        factor.solve(&mut delta);
        let nu = delta.iter().sum::<f64>() / level;
        let mut dual = best.dual.clone();
        for ((c, d), one) in kept.iter().zip(&delta).zip(&ones) {
            dual[*c] += d - nu * one;
        }
        match verify(a, Geometry::L2, &a.combine_exactly(&dual), &dual) {
            Ok(next) if next.gap() < best.gap() => best = next,
            _ => break,
        }
    }
    best
}
