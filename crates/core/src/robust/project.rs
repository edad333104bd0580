//! The nearest point of a box and a few half-spaces.
//!
//! min ½‖p − x‖² subject to ⟨n_k, p⟩ ≤ b_k and lo ≤ p ≤ hi. With multipliers λ ≥ 0 the minimiser is
//! p = clip(x − Σ λ_k n_k), so the dual has one unknown for a half-space. It is maximised one λ_k at a time, each step exact:
//! ⟨n_k, clip(y − λ n_k)⟩ falls with λ and is piecewise linear.

use crate::numeric::{axpy, dot};

/// Passes over the half-spaces; they are few and far from parallel where they matter.
const SWEEPS: usize = 40;
/// Newton steps in one λ, each exact where the same coordinates stay free.
const STEPS: usize = 60;

/// The half-space ⟨n, p⟩ ≤ b, with ‖n‖ = 1.
#[derive(Clone, Debug)]
pub struct Cut {
    /// n.
    pub normal: Vec<f64>,
    /// b.
    pub offset: f64,
}

/// The point nearest to `x` in the half-spaces and the box, or in no box.
///
/// Where they do not meet it is the limit of pushing against one of the half-spaces: a point of the box that comes as near as
/// it can. Accuracy: 1e-13 relative for one half-space; for several whatever the passes have reached, with p in the box
/// always.
pub fn project(x: &[f64], cuts: &[Cut], limits: Option<(f64, f64)>) -> Vec<f64> {
    let mut weights = vec![0.0; cuts.len()];
    // x − Σ λ_k n_k, before the box.
    let mut free = x.to_vec();
    for _ in 0..SWEEPS {
        let mut moved = 0.0f64;
        for (cut, weight) in cuts.iter().zip(&mut weights) {
            axpy(*weight, &cut.normal, &mut free);
            let new = multiplier(&free, cut, limits);
            axpy(-new, &cut.normal, &mut free);
            moved = moved.max((new - *weight).abs());
            *weight = new;
        }
        let size = weights.iter().fold(0.0f64, |m, w| m.max(*w));
        if cuts.len() <= 1 || moved <= 1e-12 * size {
            break;
        }
    }
    if let Some((lo, hi)) = limits {
        free.iter_mut().for_each(|p| *p = p.clamp(lo, hi));
    }
    free
}

/// The λ ≥ 0 with ⟨n, clip(y − λn)⟩ = b, 0 where y satisfies the half-space, and where none does the least λ that
/// comes as near as any.
fn multiplier(y: &[f64], cut: &Cut, limits: Option<(f64, f64)>) -> f64 {
    let Some((lo, hi)) = limits else { return (dot(&cut.normal, y) - cut.offset).max(0.0) };
    // Value of ⟨n, clip(y − λn)⟩ − b, minus its slope, and the next λ at which a coordinate meets the box or leaves it.
    let look = |lambda: f64| {
        let (mut value, mut slope, mut next) = (-cut.offset, 0.0, f64::INFINITY);
        for (y, n) in y.iter().zip(&cut.normal).filter(|(_, n)| **n != 0.0) {
            let p = y - lambda * n;
            value += n * p.clamp(lo, hi);
            let (enters, leaves) = if *n > 0.0 { (hi, lo) } else { (lo, hi) };
            let (first, last) = ((y - enters) / n, (y - leaves) / n);
            if lambda < first {
                next = first.min(next);
            } else if lambda < last {
                slope += n * n;
            }
        }
        (value, slope, next)
    };
    let (mut low, mut high, mut lambda) = (0.0f64, f64::INFINITY, 0.0f64);
    for _ in 0..STEPS {
        let (value, slope, next) = look(lambda);
        if value.abs() <= 1e-15 * cut.offset.abs() || (value <= 0.0 && lambda == 0.0) {
            break;
        }
        if value > 0.0 {
            low = lambda
        } else {
            high = lambda
        }
        // A flat piece: go on to where it ends.
        let wanted = if slope > 0.0 { lambda + value / slope } else { next };
        let inside = wanted > low && wanted < high;
        if !inside && high.is_infinite() {
            // Behind the last piece, or the step is below the rounding of λ.
            break;
        }
        let new = if inside { wanted } else { 0.5 * (low + high) };
        if new == lambda || !(high - low > 1e-16 * low) {
            break;
        }
        lambda = new;
    }
    lambda
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(normal: &[f64], offset: f64) -> Cut {
        let size = crate::numeric::norm(normal);
        Cut { normal: normal.iter().map(|n| n / size).collect(), offset: offset / size }
    }

    #[test]
    fn without_a_box_one_half_space_moves_along_its_normal() {
        let p = project(&[3.0, 4.0], &[cut(&[3.0, 4.0], 5.0)], None);
        assert!((p[0] - 0.6).abs() < 1e-15 && (p[1] - 0.8).abs() < 1e-15, "{p:?}");
        // A point that satisfies it stays.
        assert_eq!(project(&[0.0, 0.0], &[cut(&[3.0, 4.0], 5.0)], None), [0.0, 0.0]);
    }

    #[test]
    fn in_a_box_coordinates_that_meet_it_stay_there() {
        // Down from (0.1, 0.9) against x + y ≤ 0.5: x meets 0 first, y has to go the rest.
        let p = project(&[0.1, 0.9], &[cut(&[1.0, 1.0], 0.5)], Some((0.0, 1.0)));
        assert!(p[0].abs() < 1e-15 && (p[1] - 0.5).abs() < 1e-15, "{p:?}");
        // Nothing in the box satisfies x + y ≤ −1; the corner comes nearest.
        assert_eq!(project(&[0.1, 0.9], &[cut(&[1.0, 1.0], -1.0)], Some((0.0, 1.0))), [0.0, 0.0]);
    }

    #[test]
    fn two_half_spaces_are_met_in_their_corner() {
        let p = project(&[2.0, 3.0], &[cut(&[1.0, 0.2], 0.0), cut(&[0.1, 1.0], 0.0)], None);
        assert!(p.iter().all(|p| p.abs() < 1e-10), "{p:?}");
    }
}
