//! The certificate that nothing separates: λ ≥ 0 with Σλ_c a_c = 0.

use super::{Constraints, Failure};
use crate::numeric::{compensated_sum, norm};
use crate::quadratic::{Gram, Nnls};

/// Up to here Σλ_c a_c counts as 0, relative to Σλ_c‖a_c‖: a margin that is not positive beyond it is not known to exist.
const ZERO: f64 = 1e-10;

/// What to say of data without a θ of positive margin, given weights whose combination nearly cancels.
pub(super) fn failure(a: &Constraints<'_>, lambda: &[f64]) -> Failure {
    let (weights, residual) = polished(a, lambda);
    if residual <= ZERO {
        return Failure::NotSeparable { weights, residual };
    }
    Failure::Stalled(format!(
        "neither separated nor shown to be inseparable: the shortest vector of the hull of the signed features is {residual:.1e} \
         of their size, too short for f64 to give it a direction"
    ))
}

/// ‖Σλ_c a_c‖₂ over Σλ_c‖a_c‖₂.
fn residual(a: &Constraints<'_>, lambda: &[f64]) -> (Vec<f64>, f64) {
    let g = a.combine_exactly(lambda);
    let weighted = lambda.iter().enumerate().filter(|(_, l)| **l > 0.0);
    let size = compensated_sum(weighted.map(|(c, l)| l * a.inner(c, c).sqrt()));
    let relative = if size > 0.0 { norm(&g) / size } else { 0.0 };
    (g, relative)
}

/// Shortens g = Σλ_c a_c on the support of λ: inner products alone stop at the root of their rounding, while the length of
/// g itself is known to rounding. The δ ≥ 0 that cancel g/‖g‖ best, times ‖g‖, are added to λ.
fn polished(a: &Constraints<'_>, lambda: &[f64]) -> (Vec<f64>, f64) {
    let mut best = lambda.to_vec();
    let (mut g, mut least) = residual(a, &best);
    let support: Vec<usize> = (0..best.len()).filter(|c| best[*c] > 0.0).collect();
    let k = support.len();
    let mut gram = vec![0.0; k * k];
    for (i, c) in support.iter().enumerate() {
        for (j, d) in support.iter().enumerate() {
            gram[i * k + j] = a.inner(*c, *d);
        }
    }
    let mut solver = Nnls::new();
    for _ in 0..6 {
        if least < f64::EPSILON {
            break;
        }
        let length = norm(&g);
        let margins = a.margins(&g);
        let slopes: Vec<f64> = support.iter().map(|c| -margins[*c] / length).collect();
        let fit = solver.solve(Gram::new(&gram, k, k), &slopes, &[]);
        let mut next = best.clone();
        support.iter().zip(fit.lambda).for_each(|(c, d)| next[*c] += d * length);
        let (shorter, found) = residual(a, &next);
        if !(found < least) {
            break;
        }
        (best, g, least) = (next, shorter, found);
    }
    let total = compensated_sum(best.iter().copied());
    best.iter_mut().for_each(|l| *l /= total);
    (best, least)
}
