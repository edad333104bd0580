//! The Euclidean norm: gradient descent.
//!
//! argmax { ⟨g, d⟩ : ‖d‖₂ ≤ 1 } = g/‖g‖₂, and the maximum is ‖g‖₂.

use serde::{Deserialize, Serialize};

use super::Norm;
use crate::Layout;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::numeric::{in_parts, norm, scaled_distance, wide};

/// ‖v‖₂ over all blocks together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2 {}

impl Norm for L2 {
    fn of(&self, v: &[f64], _: &Layout) -> f64 {
        norm(v)
    }

    fn steepest(&self, g: &[f64], _: &Layout, d: &mut [f64]) -> f64 {
        let Some((dual, factor)) = self.multiple(g) else {
            let dual = norm(g);
            d.iter_mut().zip(g).for_each(|(d, g)| *d = if dual == 0.0 { 0.0 } else { g / dual });
            return dual;
        };
        in_parts(d, [g], |d, [g]| wide(|| d.iter_mut().zip(g).for_each(|(d, g)| *d = g * factor)));
        dual
    }

    /// A product where a division would cost ten times as much; the reciprocal of a subnormal number may be infinite.
    fn multiple(&self, g: &[f64]) -> Option<(f64, f64)> {
        let dual = norm(g);
        let factor = 1.0 / dual;
        factor.is_normal().then_some((dual, factor))
    }

    fn dual(&self, g: &[f64], _: &Layout) -> f64 {
        norm(g)
    }

    /// ½‖v‖₂² is smooth: its gradient is v.
    fn subgradient(&self, v: &[f64], _: &Layout, _target: &[f64], _within: f64, k: &mut [f64]) {
        k.copy_from_slice(v);
    }

    /// ½‖v/‖v‖ − y/‖y‖‖², which loses no digits.
    fn misalignment(&self, v: &[f64], y: &[f64], _: &Layout) -> f64 {
        let gap = scaled_distance(1.0 / norm(v), v, 1.0 / norm(y), y);
        0.5 * gap * gap
    }

    fn column(&self) -> String {
        "l2".into()
    }
}

impl Entry for L2 {
    const ABOUT: &'static str = "Euclidean norm (gradient descent)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_is_the_multiple_of_the_gradient_to_the_last_bit() {
        let (l2, layout) = (L2 {}, Layout::vector(3));
        for scale in [1.0, 1e-200, 1e150, 3e-300, 1e-310, 0.0] {
            let g = [0.3 * scale, -0.7 * scale, 2.0 * scale];
            let mut d = [f64::NAN; 3];
            let dual = l2.steepest(&g, &layout, &mut d);
            match l2.multiple(&g) {
                Some((own, c)) => assert_eq!((own, g.map(|g| c * g)), (dual, d)),
                // A reciprocal that f64 does not hold: at 0, and below its range of full precision.
                None => assert!(dual < f64::MIN_POSITIVE),
            }
            let length = norm(&d);
            assert!(
                if scale == 0.0 { length == 0.0 } else { (length - 1.0).abs() < 1e-14 },
                "{scale}: {length}"
            );
        }
    }
}
