//! Spectral and nuclear norm: the saddle problem of [`crate::saddle`] over a growing set of constraints.
//!
//! W is kept as such, so that what it is where Σλ_c A_c has no singular values, which decides the margins there, loses nothing
//! to their smallness. The bounds are W's own margins and ‖Σλ_c A_c‖⋆.

use super::working::Working;
use super::{Constraints, Failure, Geometry, Optimum, verify};
use crate::numeric::{norm, scale};
use crate::saddle::{Matrix, Saddle, Settings, Table};

/// A margin outside the working set violates the least one within it when it is smaller by more than this fraction.
const VIOLATED: f64 = 1e-11;
const ROUNDS: usize = 100;
/// Constraints that join in a round.
const JOINING: usize = 60;

/// The maximal margin in the spectral or nuclear norm of W, from a solution and multipliers that are near, such as those of
/// ℓ2.
pub(super) fn max_margin(
    a: &Constraints<'_>,
    geometry: Geometry,
    start: &Optimum,
) -> Result<Optimum, Failure> {
    let (rows, cols) = a.shape();
    let ball = match geometry {
        Geometry::Nuclear => Matrix::nuclear(rows, cols),
        _ => Matrix::spectral(rows, cols),
    };
    let mut saddle = Saddle::with(Box::new(ball), Settings::EXACT);
    let size = geometry.norm(&start.solution, a.shape());
    saddle.start_from(&start.solution.iter().map(|w| w / size).collect::<Vec<_>>());
    let mut working = Working::nearest(a, start, 2, JOINING);
    let mut lambda = start.dual.clone();
    let mut best: Option<Optimum> = None;
    for _ in 0..ROUNDS {
        let table = scaled(a, &working.ids);
        let linear = vec![0.0; working.ids.len()];
        let found = saddle.solve(&Table::new(&table, a.dim()), &linear, &working.select(&lambda));
        lambda = working.spread(&found.ok_or_else(failed)?.lambda);
        let found = verify(a, geometry, saddle.direction(), &lambda)?;
        let margins = a.margins(saddle.direction());
        if best.as_ref().is_none_or(|b| found.gap() < b.gap()) {
            best = Some(found);
        }
        if !working.join_violated(&margins, working.least(&margins), VIOLATED, JOINING) {
            break;
        }
    }
    best.ok_or_else(failed)
}

/// The constraints as rows over their largest length: all later numbers are of order 1.
fn scaled(a: &Constraints<'_>, working: &[usize]) -> Vec<f64> {
    let mut table = vec![0.0; working.len() * a.dim()];
    working.iter().zip(table.chunks_exact_mut(a.dim())).for_each(|(c, row)| a.vector(*c, row));
    let largest = table.chunks_exact(a.dim()).map(norm).fold(0.0, f64::max);
    scale(1.0 / largest, &mut table);
    table
}

fn failed() -> Failure {
    Failure::Stalled("a singular value decomposition did not converge".into())
}
