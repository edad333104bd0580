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
        let dual = norm(g);
        if dual == 0.0 {
            d.fill(0.0);
        } else {
            in_parts(d, [g], |d, [g]| wide(|| d.iter_mut().zip(g).for_each(|(d, g)| *d = g / dual)));
        }
        dual
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
