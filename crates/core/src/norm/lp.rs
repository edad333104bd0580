//! Steepest descent in the l^p norm, 1 ≤ p < ∞.
//!
//! With 1/p + 1/q = 1: argmax { ⟨g, d⟩ : ‖d‖_p ≤ 1 } = sign(g)·(|g|/‖g‖_q)^{q−1}, and the maximum is ‖g‖_q. The exponent
//! q − 1 = 1/(p − 1) falls from ∞ at p = 1 (one coordinate moves) over 1 at p = 2 to 0 at p = ∞ (the sign vector).
//!
//! # Accuracy
//! Everything is divided by the largest entry first, so no power overflows and small entries fade to 0. Near p = 1 the
//! direction itself is ill-conditioned: a relative error in g grows (q − 1)-fold in d.

use serde::{Deserialize, Serialize};

use super::{L1, Norm};
use crate::catalogue::Entry;
use crate::cite::{Cite, GUNASEKAR_2018, TSILIVIS_2024};
use crate::numeric::compensated_sum;
use crate::{Invalid, Layout};

/// ‖v‖_p over all blocks together.
///
/// # Examples
/// Between the sign vector and the gradient lies the square root, for p = 3:
/// ```
/// use latephase_core::Layout;
/// use latephase_core::norm::{Lp, Norm};
/// let (norm, mut d) = (Lp { p: 3.0 }, [0.0; 2]);
/// norm.steepest(&[4.0, -1.0], &Layout::vector(2), &mut d);
/// assert!((d[0] / d[1] + 2.0).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lp {
    /// The power, at least 1; `linf` is the norm of p = ∞.
    pub p: f64,
}

/// (Σ|v|^p)^{1/p}, and the largest |v| by which it was scaled.
fn size(v: &[f64], p: f64) -> (f64, f64) {
    let largest = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return (largest, largest);
    }
    let sum = compensated_sum(v.iter().map(|x| (x.abs() / largest).powf(p)));
    (largest * sum.powf(1.0 / p), largest)
}

impl Norm for Lp {
    fn of(&self, v: &[f64], _: &Layout) -> f64 {
        size(v, self.p).0
    }

    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64 {
        if self.p == 1.0 {
            return L1 {}.steepest(g, layout, d);
        }
        let power = 1.0 / (self.p - 1.0);
        let (dual, largest) = size(g, power + 1.0);
        if dual == 0.0 {
            d.fill(0.0);
            return 0.0;
        }
        // x^{q−1}/‖x‖_q^{q−1} for x = |g|/largest: the quotient of the two, not the power of the quotient, whose
        // rounding would be raised to q − 1.
        let below = (dual / largest).powf(power);
        d.iter_mut().zip(g).for_each(|(d, g)| *d = ((g.abs() / largest).powf(power) / below).copysign(*g));
        dual
    }

    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        if self.p == 1.0 { L1 {}.dual(g, layout) } else { size(g, self.p / (self.p - 1.0)).0 }
    }

    /// For p > 1 ½‖v‖_p² is smooth: its gradient is ‖v‖_p·sign(v)·(|v|/‖v‖_p)^{p−1}.
    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        if self.p == 1.0 {
            return L1 {}.subgradient(v, layout, target, within, k);
        }
        let (size, _) = size(v, self.p);
        if size == 0.0 {
            return k.fill(0.0);
        }
        k.iter_mut().zip(v).for_each(|(k, v)| *k = (size * (v.abs() / size).powf(self.p - 1.0)).copysign(*v));
    }

    fn column(&self) -> String {
        format!("l{}", self.p)
    }

    fn check(&self, _: &Layout) -> Result<(), Invalid> {
        if self.p >= 1.0 && self.p.is_finite() {
            return Ok(());
        }
        let text = "a norm needs a finite power of 1 or more; `l1` is p = 1, `linf` is p = inf";
        Err(Invalid::new("p", format!("{} is not allowed: {text}", self.p)))
    }
}

impl Entry for Lp {
    const ABOUT: &'static str = "(sum of |entries|^p)^(1/p)";
    const EXAMPLE: &'static str = "p = 3";
    const CITE: &'static [Cite] = &[GUNASEKAR_2018, TSILIVIS_2024];
}
