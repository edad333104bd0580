//! Steepest descent in the l1 norm: the largest coordinate of the gradient.
//!
//! argmax { ⟨g, d⟩ : ‖d‖₁ ≤ 1 } = sign(g_j) e_j for j the first of the largest |g_j|, and the maximum is ‖g‖∞.

use serde::{Deserialize, Serialize};

use super::Norm;
use crate::Layout;
use crate::catalogue::Entry;
use crate::cite::{Cite, TSILIVIS_2024};
use crate::numeric::compensated_sum;

/// The sum of absolute entries; its steepest direction moves one coordinate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1 {}

impl Norm for L1 {
    fn of(&self, v: &[f64], _: &Layout) -> f64 {
        compensated_sum(v.iter().map(|x| x.abs()))
    }

    fn steepest(&self, g: &[f64], _: &Layout, d: &mut [f64]) -> f64 {
        d.fill(0.0);
        let (mut largest, mut at) = (0.0, None);
        for (j, g) in g.iter().enumerate() {
            // The first of several equal ones: a fixed choice among the maximisers.
            if g.abs() > largest {
                (largest, at) = (g.abs(), Some(j));
            }
        }
        if let Some(j) = at {
            d[j] = g[j].signum();
        }
        largest
    }

    fn dual(&self, g: &[f64], _: &Layout) -> f64 {
        g.iter().fold(0.0, |m, g| g.abs().max(m))
    }

    /// ∂½‖v‖₁² = ‖v‖₁·{k : k_j = sign v_j on the support, |k_j| ≤ 1 off it}. Entries up to `within`·‖v‖₁ in sum count as
    /// off the support, the smallest first.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        let size = self.of(v, layout);
        let mut order: Vec<usize> = (0..v.len()).collect();
        order.sort_by(|&a, &b| v[a].abs().total_cmp(&v[b].abs()));
        // An entry whose sign turns from +1 to −1 costs twice its size in ⟨k, v⟩.
        let mut free = 0.5 * within * size;
        for j in order {
            free -= v[j].abs();
            k[j] = if free >= 0.0 { target[j].clamp(-size, size) } else { size * v[j].signum() };
        }
    }

    /// Σ|v_j|(1 − sign(v_j) y_j/‖y‖∞)/‖v‖₁: how far y is from ±‖y‖∞ on the support, weighted. Every term is 0 or more.
    fn misalignment(&self, v: &[f64], y: &[f64], layout: &Layout) -> f64 {
        let largest = y.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
        let terms = v.iter().zip(y).map(|(v, y)| v.abs() * (1.0 - v.signum() * (y / largest)));
        compensated_sum(terms) / self.of(v, layout)
    }

    /// The weighted deviation on the support, [`Norm::misalignment`]: off the support any |y_j| ≤ ‖y‖∞ is allowed, so
    /// there is nothing to widen.
    fn off_face(&self, v: &[f64], y: &[f64], layout: &Layout, _within: f64) -> f64 {
        self.misalignment(v, y, layout)
    }

    fn column(&self) -> String {
        "l1".into()
    }
}

impl Entry for L1 {
    const ABOUT: &'static str = "sum of absolute entries (coordinate descent)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}
