//! Bounds of a maximal margin from a solution and multipliers, by the data alone.

use super::{Constraints, Geometry, Optimum};
use crate::Invalid;
use crate::numeric::{compensated_sum, norm};

/// Unit roundoff.
const U: f64 = f64::EPSILON / 2.0;

/// Checks a solution and multipliers against the data: `value` = min_c ⟨a_c, θ⟩/‖θ‖ is a lower bound of the maximal
/// margin for any θ, `bound` = ‖Σλ_c a_c‖⋆/Σλ_c an upper one for any λ ≥ 0 (weak duality).
///
/// Negative multipliers count as 0. Both are returned normalised.
///
/// # Accuracy
/// Sums are kept in twice the working precision, and what the last roundings may have done is taken off `value` and put
/// on `bound`: both hold for the data as they are stored.
///
/// # Errors
/// θ = 0 or λ = 0, lengths that do not fit, numbers that are not finite.
///
/// # Examples
/// Any pair encloses the maximum, here 3/√2; the right one closes the gap:
/// ```
/// use latephase_core::exact::{Constraints, Geometry, verify};
/// let a = Constraints::vectors(vec![2.0, 1.0, 1.0, 2.0], 2)?;
/// let rough = verify(&a, Geometry::L2, &[1.0, 0.5], &[1.0, 0.0])?;
/// let exact = 3.0 / 2f64.sqrt();
/// assert!(rough.value < exact && exact < rough.bound);
/// let found = verify(&a, Geometry::L2, &[1.0, 1.0], &[1.0, 1.0])?;
/// assert!(found.value <= exact && exact <= found.bound && found.gap() < 1e-14);
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
pub fn verify(
    a: &Constraints<'_>,
    geometry: Geometry,
    solution: &[f64],
    dual: &[f64],
) -> Result<Optimum, Invalid> {
    if solution.len() != a.dim() || dual.len() != a.len() {
        let text = format!(
            "{} numbers and {} multipliers for {} numbers and {} constraints",
            solution.len(),
            dual.len(),
            a.dim(),
            a.len()
        );
        return Err(Invalid::new("solution", text));
    }
    let size = geometry.norm(solution, a.shape());
    let lambda: Vec<f64> = dual.iter().map(|l| l.max(0.0)).collect();
    let total = compensated_sum(lambda.iter().copied());
    if !(size > 0.0 && size.is_finite()) {
        return Err(Invalid::new("solution", format!("a solution of norm {size} has no margin")));
    }
    if !(total > 0.0 && total.is_finite()) {
        return Err(Invalid::new("dual", format!("multipliers of sum {total} bound nothing")));
    }
    let slack = |g: Geometry| (g.roundings(a.shape()) + 8.0) * U;
    let least = least_margin(a, solution) / size;
    let g = a.combine_exactly(&lambda);
    let bound = geometry.dual().norm(&g, a.shape()) / total * (1.0 + slack(geometry.dual()));
    let solution: Vec<f64> = solution.iter().map(|w| w / size).collect();
    let dual = lambda.iter().map(|l| l / total).collect();
    Ok(Optimum { solution, value: least - least.abs() * slack(geometry), dual, bound })
}

/// min_c ⟨a_c, θ⟩: those that plain sums cannot tell from the least are summed again in twice the precision.
fn least_margin(a: &Constraints<'_>, theta: &[f64]) -> f64 {
    let plain = a.margins(theta);
    let least = plain.iter().copied().fold(f64::INFINITY, f64::min);
    let rounding = 2.0 * (a.dim() as f64 + 4.0) * U * a.reach() * norm(theta);
    let near = (0..plain.len()).filter(|c| plain[*c] <= least + 2.0 * rounding);
    near.map(|c| a.margin_exactly(c, theta)).fold(f64::INFINITY, f64::min)
}
