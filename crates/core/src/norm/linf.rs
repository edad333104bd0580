//! Steepest descent in the l∞ norm: the sign of the gradient.
//!
//! argmax { ⟨g, d⟩ : ‖d‖∞ ≤ 1 } = sign(g), and the maximum is ‖g‖₁. Tsilivis et al. call q_min/‖θ‖∞^L "the ℓ1 margin
//! γ₁", by the dual norm; the column `margin_linf` is named by the norm that divides.

use serde::{Deserialize, Serialize};

use super::Norm;
use crate::Layout;
use crate::catalogue::Entry;
use crate::cite::{Cite, TSILIVIS_2024};
use crate::numeric::{compensated_sum, project_on_simplex};

/// The largest absolute entry; its steepest direction is the sign vector.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linf {}

impl Norm for Linf {
    fn of(&self, v: &[f64], _: &Layout) -> f64 {
        v.iter().fold(0.0, |m, x| x.abs().max(m))
    }

    fn steepest(&self, g: &[f64], _: &Layout, d: &mut [f64]) -> f64 {
        // sign(0) = 0 keeps d odd in g. Every choice in [-1, 1] is a maximiser there.
        for (d, g) in d.iter_mut().zip(g) {
            *d = if *g == 0.0 { 0.0 } else { g.signum() };
        }
        compensated_sum(g.iter().map(|g| g.abs()))
    }

    fn dual(&self, g: &[f64], _: &Layout) -> f64 {
        compensated_sum(g.iter().map(|g| g.abs()))
    }

    /// ∂½‖v‖∞² = ‖v‖∞·conv{sign(v_j) e_j : |v_j| = ‖v‖∞}; entries of at least (1 − `within`)‖v‖∞ count as largest. The
    /// nearest point is a projection on the simplex.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        let size = self.of(v, layout);
        k.fill(0.0);
        if size == 0.0 {
            return;
        }
        let face: Vec<usize> = (0..v.len()).filter(|&j| v[j].abs() >= (1.0 - within) * size).collect();
        let mut part: Vec<f64> = face.iter().map(|&j| target[j] * v[j].signum() / size).collect();
        project_on_simplex(&mut part);
        face.iter().zip(part).for_each(|(&j, t)| k[j] = size * v[j].signum() * t);
    }

    /// Σ|y_j|(1 − sign(y_j) v_j/‖v‖∞)/‖y‖₁. Every term is 0 or more.
    fn misalignment(&self, v: &[f64], y: &[f64], layout: &Layout) -> f64 {
        let size = self.of(v, layout);
        let terms = v.iter().zip(y).map(|(v, y)| y.abs() * (1.0 - y.signum() * (v / size)));
        compensated_sum(terms) / self.dual(y, layout)
    }

    /// The share of ‖y‖₁ on entries of v below (1 − `within`)‖v‖∞ or of the other sign.
    fn off_face(&self, v: &[f64], y: &[f64], layout: &Layout, within: f64) -> f64 {
        let largest = (1.0 - within) * self.of(v, layout);
        let off = v.iter().zip(y).filter(|(v, y)| !(*v * y.signum() >= largest)).map(|(_, y)| y.abs());
        compensated_sum(off) / self.dual(y, layout)
    }

    fn column(&self) -> String {
        "linf".into()
    }
}

impl Entry for Linf {
    const ABOUT: &'static str = "largest absolute entry (sign descent)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}
